/* The page of one configuration. */
const GUARD = { passed: "passed", refused: "refused" };

const facts = (pairs) => make("dl", { class: "facts" }, pairs.map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));

/* Structures of every configuration of a chunk, undone as they were packed. */
const structuresOf = (pages, bytes, hosts) => {
  const total = bytes.length / 3;
  let read = 0;
  return pages.map((page) => {
    const values = 3 * hosts[page.host].species.length;
    let before = new Int32Array(values);
    return page.structures.map(() => {
      const now = Int32Array.from(before, (value, position) => {
        const folded = bytes[read + position] | (bytes[total + read + position] << 8) | (bytes[2 * total + read + position] << 16);
        return value + (folded & 1 ? -(folded + 1) / 2 : folded / 2);
      });
      read += values;
      before = now;
      return now;
    });
  });
};

class Configurations {
  constructor(overview) {
    this.overview = overview;
    this.chunks = new Map();
  }

  /* Content and structures of the configuration in a row. */
  async get(number) {
    const { chunk, hosts } = this.overview;
    const wanted = Math.floor(number / chunk);
    if (!this.chunks.has(wanted)) {
      this.chunks.clear(); /* one is enough to go back and forth in, and memory stays small */
      const both = Promise.all([unpackedText(`pages-${wanted}`), unpacked(`coordinates-${wanted}`)]);
      this.chunks.set(wanted, both.then(([text, bytes]) => {
        const pages = JSON.parse(text);
        return { pages, structures: structuresOf(pages, bytes, hosts) };
      }));
    }
    const { pages, structures } = await this.chunks.get(wanted);
    return { page: pages[number % chunk], structures: structures[number % chunk] };
  }
}

const startWords = (run) => `${run.start} start`;

/* Names of the structures, in the order of the page. */
const structureNames = (page) =>
  page.structures.map((key) => {
    if (page.prediction && key === page.prediction.key) return "Predicted";
    const run = page.runs.find((one) => one.key === key);
    const alone = page.runs.filter((one) => page.structures.includes(one.key)).length === 1;
    const twins = page.runs.filter((one) => one.start === run.start);
    const which = twins.length > 1 ? ` ${twins.indexOf(run) + 1}` : "";
    const end = run.state === "converged" ? "Relaxed" : "Last";
    return alone ? end : `${end}, ${startWords(run)}${which}`;
  });

const forcesFigure = (page, force) => () => {
  const traces = page.runs.filter(({ history }) => history.length).map((run, number) => ({
    type: "scatter",
    mode: "lines+markers",
    name: startWords(run) + (run.state === "converged" ? "" : ` (${run.state})`),
    x: run.history.map((_, step) => step + 1),
    y: run.history,
    line: { color: colour(run.start), width: 1.5, dash: number > 1 ? "dot" : "solid" },
    marker: { symbol: run.start === "unrelaxed" ? "circle" : "triangle-up", size: 6 },
    hovertemplate: "step %{x}: %{y:.3g} eV/Å<extra></extra>",
  }));
  return {
    traces,
    layout: {
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: force, y1: force, line: { dash: "dash", width: 1, color: colour("quiet") } }],
      xaxis: { title: { text: "ionic step" }, rangemode: "tozero" },
      yaxis: { title: { text: "largest force (eV/Å)" }, type: "log", dtick: 1, exponentformat: "power" },
    },
  };
};

const scrolling = (table) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "table" }, table);

const runsTable = (runs) => {
  const lines = [
    ["state", (run) => run.state],
    ["reason", (run) => run.reason],
    ["ionic steps", (run) => run.ionic_steps],
    ["electronic steps", (run) => run.electronic_steps],
    ["largest force at the end", (run) => withUnit(run.max_force, "eV/Å", 3)],
    ["energy", (run) => withUnit(run.energy, "eV", 9)],
    ["total moment", (run) => withUnit(run.total_moment, "µB", 4)],
    ["wall time", (run) => withUnit(run.wall_seconds, "s", 4)],
    ["cores", (run) => run.cores],
    ["core-hours", (run) => run.core_hours],
    ["engine", (run) => run.engine],
    ["settings", (run) => run.physics_hash],
    ["key", (run) => run.key],
    ["written", (run) => `${run.last_updated.slice(0, 19).replace("T", " ")}, definet-flows ${run.code_version}`],
  ];
  const told = lines.filter(([, of]) => runs.some((run) => ![null, undefined, DASH].includes(of(run))));
  return scrolling(
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, ""), runs.map((run) => make("th", { scope: "col" }, startWords(run))))),
      make("tbody", {}, told.map(([name, of]) => make("tr", {}, make("th", { scope: "row" }, name), runs.map((run) => make("td", { class: ["key", "written", "engine"].includes(name) ? "hash" : null }, shown(of(run))))))),
    ),
  );
};

const displacementsTable = (viewer) => {
  const structures = viewer.structures.slice(1);
  if (!structures.length) return null;
  const furthest = viewer.species
    .map((species, site) => ({ site, species, lengths: structures.map(({ moved }) => norm(moved[site])) }))
    .filter(({ species }) => species !== VACANT)
    .sort((a, b) => Math.max(...b.lengths) - Math.max(...a.lengths))
    .slice(0, 8);
  return make(
    "details",
    {},
    make("summary", {}, "Largest displacements"),
    scrolling(
      make(
        "table",
        {},
        make("thead", {}, make("tr", {}, ["site", "species", ...structures.map(({ name }) => `${name} (Å)`)].map((name) => make("th", { scope: "col" }, name)))),
        make("tbody", {}, furthest.map(({ site, species, lengths }) => make("tr", {}, [site, species, ...lengths.map((length) => length.toFixed(3))].map((cell) => make("td", {}, String(cell)))))),
      ),
    ),
  );
};

const verdict = (prediction) => {
  if (!prediction) return "no prediction";
  const words = prediction.passed ? GUARD.passed : GUARD.refused;
  return prediction.reasons.length ? `${words}: ${prediction.reasons.join("; ")}` : words;
};

const pairFacts = (pair) =>
  pair
    ? [
        ...(pair.trust === null ? [] : [["Trust, exp(−d/d₉₉)", shown(pair.trust, 2)]]),
        ...(pair.committee_spread === null ? [] : [["Spread of the committee", withUnit(pair.committee_spread, "Å", 2)]]),
        ["Steps saved", shown(pair.steps_saved)],
        ["Core-hours saved, prediction charged", shown(pair.net_core_hours_saved, 3)],
        ["Same minimum", pair.same_minimum === null ? "not known, a run was lost" : pair.same_minimum ? "yes" : "no"],
        ["Largest distance between the ends", withUnit(pair.largest_distance, "Å", 3)],
        ["Prerelaxed end minus unrelaxed end", withUnit(pair.energy_difference, "eV", 3)],
        ["Lower start", shown(pair.lower_start)],
      ]
    : [["Pair", "not relaxed from both starts"]];

const configurationArticle = (row, { page, structures }, overview, crumbs) => {
  const host = overview.hosts[page.host];
  const inAngstrom = structures.map((quanta) => host.species.map((_, site) => [0, 1, 2].map((k) => quanta[3 * site + k] * overview.quantum)));
  const named = structureNames(page).map((name, number) => ({ name, moved: inAngstrom[number] }));
  const stage = make("div");
  const viewer = new StructureViewer(stage, { host, elements: overview.elements, defects: page.defects, structures: [{ name: "Unrelaxed", moved: null }, ...named] });
  const force = overview.thresholds.engine;
  const defects = page.defects.map(([site, species]) => (species === VACANT ? `${host.species[site]} ${site} removed` : `${species} in place of ${host.species[site]} ${site}`));
  const about = [
    ["Outcome", row.status],
    ["Supercell", `${row.supercell}, ${row.sites} sites`],
    ["Changed sites", defects.join("; ")],
    ["Concentration", `${shown(100 * page.concentration, 3)} % of the sites`],
    ["Equivalent placements", shown(page.multiplicity)],
    ["Charge", shown(row.charge)],
    ["Cluster seen in training", shown(row.exposure)],
    ["Guard", verdict(page.prediction)],
    ["Largest predicted displacement", withUnit(row.displacement, "Å", 3)],
    ["Checkpoint", page.prediction ? page.prediction.checkpoint : DASH],
    ...Object.entries(row.formation ?? {}).map(([limit, energy]) => [`Formation energy, ${limit}`, withUnit(energy, "eV", 5)]),
    ...(row.binding === null || row.binding === undefined ? [] : [["Binding energy, positive = bound", withUnit(row.binding, "eV", 4)]]),
    ...pairFacts(page.pair),
    ["Configuration", row.id],
    ["Cluster", shown(page.cluster)],
  ];
  const forces = page.runs.some(({ history }) => history.length)
    ? figure("Largest force at each step", `The dashed line is ${force} eV/Å, where the engine stops.`, forcesFigure(page, force))
    : make("p", { class: "remark" }, "No run is on record yet.");
  return [
    crumbs,
    make("h1", { tabindex: "-1" }, row.label),
    make("div", { class: "two" }, make("section", { "aria-label": "Structure" }, stage, displacementsTable(viewer)), make("section", { "aria-label": "About this configuration" }, facts(about))),
    make("h2", {}, "Runs"),
    make("div", { class: "two" }, page.runs.length ? runsTable(page.runs) : null, forces),
  ];
};
