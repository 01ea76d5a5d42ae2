/* The figures, drawn with plotly, which is unpacked when the first of them is wanted. */
const LOSERS = {
  "another minimum": "diamond-open",
  "refused by the guard": "square-open",
  "prerelaxed run failed": "x-open",
  "prerelaxed run did not converge": "cross-open",
  "unrelaxed run did not converge": "star-open",
};
const HATCHES = ["", "/", "x", "\\", "+", "."];

let plotting = null;
const plotly = () => {
  plotting ??= unpackedText("plotly").then((source) => {
    document.head.append(make("script", {}, source));
    return window.Plotly;
  });
  return plotting;
};

const styled = (layout) => {
  const [ink, quiet, line, paper] = ["ink", "quiet", "line", "paper"].map(colour);
  const axis = { gridcolor: line, linecolor: quiet, tickcolor: quiet, zeroline: false, ticks: "outside", automargin: true };
  const { xaxis, yaxis, ...rest } = layout;
  return {
    paper_bgcolor: paper,
    plot_bgcolor: paper,
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink },
    margin: { l: 56, r: 14, t: 34, b: 48 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } },
    hoverlabel: { bgcolor: paper, bordercolor: quiet, font: { color: ink } },
    hovermode: "closest",
    dragmode: "zoom",
    ...rest,
    xaxis: { ...axis, showgrid: false, ...xaxis },
    yaxis: { ...axis, ...yaxis },
  };
};

const drawn = []; /* every figure in the document, to be drawn again in other colours */

/* A figure is drawn when it comes near the window: a page of figures out of sight opens at once. */
const nearing = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    nearing.unobserve(target);
    const found = drawn.find(({ plot }) => plot === target);
    if (found) found.wanted = true;
    found?.show();
  }
}, { rootMargin: "400px" });
window.addEventListener("beforeprint", () => drawn.forEach(({ show }) => show()));

/* A figure with its caption; draw() gives traces and layout, open() what a click on a point opens. */
const figure = (title, caption, draw, open = null) => {
  const plot = make("div", { class: "plot", role: "img", "aria-label": `${title}. ${caption}` });
  const frame = make("figure", {}, plot, make("figcaption", {}, make("strong", {}, `${title}. `), caption));
  const show = async () => {
    const Plotly = await plotly();
    if (!plot.isConnected) return;
    const { traces, layout } = draw();
    await Plotly.react(plot, traces, styled(layout), {
      responsive: true,
      displaylogo: false,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
      toImageButtonOptions: { format: "svg", filename: title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-") },
    });
    if (open && !plot.dataset.opens) {
      plot.dataset.opens = "yes";
      plot.on("plotly_click", ({ points: [point] }) => point.customdata && open(point.customdata));
    }
  };
  drawn.push({ plot, show, wanted: false });
  nearing.observe(plot);
  return frame;
};
/* Draw again what was drawn, where sizes or colours have changed. */
const redrawFigures = () => {
  drawn.splice(0, drawn.length, ...drawn.filter(({ plot }) => plot.isConnected));
  for (const { show, wanted } of drawn) if (wanted) show();
};

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const stepsFigure = (pairs, force) => () => {
  const sorted = [...pairs].sort((a, b) => a.steps[0] - b.steps[0] || a.steps[1] - b.steps[1]);
  const places = sorted.map((_, place) => place + 1);
  const size = Math.min(7, Math.max(3, 500 / sorted.length));
  const names = sorted.map(({ row }) => plain(row.label));
  const paths = sorted.map(({ row }) => row.path);
  const series = (which, name, tone, symbol) => ({
    type: "scatter",
    mode: "markers",
    name,
    x: places,
    y: sorted.map(({ steps }) => steps[which]),
    text: names,
    customdata: paths,
    marker: { color: colour(tone), symbol, size },
    hovertemplate: `%{text}: %{y} steps<extra>${name}</extra>`,
  });
  const lost = Object.entries(LOSERS).map(([outcome, symbol]) => {
    const there = places.filter((place) => sorted[place - 1].row.status === outcome);
    return {
      type: "scatter",
      mode: "markers",
      name: outcome,
      x: there,
      y: there.map((place) => sorted[place - 1].steps[1]),
      text: there.map((place) => names[place - 1]),
      customdata: there.map((place) => paths[place - 1]),
      marker: { color: colour("ink"), symbol, size: size + (sorted.length > 500 ? 3 : 5), line: { width: 1.2 } },
      hovertemplate: `%{text}: %{y} steps<extra>${outcome}</extra>`,
    };
  });
  const medians = [0, 1].map((which) => median(sorted.map(({ steps }) => steps[which])));
  const lines = medians.map((value, which) => ({
    type: "line", xref: "paper", x0: 0, x1: 1, y0: value, y1: value,
    line: { dash: "dash", width: 1, color: colour(which ? "prerelaxed" : "unrelaxed") },
  }));
  const notes = medians.map((value, which) => ({
    xref: "paper", x: 1, xanchor: "right", y: value, yanchor: "bottom", showarrow: false, text: `median ${value}`,
    font: { color: colour(which ? "prerelaxed" : "unrelaxed"), size: 11 },
  }));
  return {
    traces: [
      series(0, "unrelaxed start", "unrelaxed", "circle"),
      series(1, "prerelaxed start", "prerelaxed", "triangle-up"),
      ...lost.filter(({ x }) => x.length),
    ],
    layout: {
      shapes: lines,
      annotations: notes,
      xaxis: { title: { text: "configuration, sorted by its unrelaxed steps" } },
      yaxis: { title: { text: `ionic steps to ${force} eV/Å` }, rangemode: "tozero" },
    },
  };
};

const coreHoursFigure = (charged, spent) => () => {
  const bars = [];
  if (charged) {
    bars.push(["pairs, unrelaxed start", charged[0], "unrelaxed"], ["pairs, prerelaxed start<br>and prediction", charged[1], "prerelaxed"]);
  }
  for (const cost of spent) {
    bars.push([`all runs, ${plain(cost.engine)},<br>${cost.start}`, cost.core_hours, cost.start]);
  }
  bars.reverse();
  return {
    traces: [
      {
        type: "bar",
        orientation: "h",
        y: bars.map(([name]) => name),
        x: bars.map(([, hours]) => hours),
        text: bars.map(([, hours]) => shown(hours, 3)),
        textposition: "auto",
        insidetextfont: { color: colour("paper") },
        marker: { color: bars.map(([, , tone]) => colour(tone)) },
        hovertemplate: "%{y}: %{x:.4g} core-hours<extra></extra>",
      },
    ],
    layout: { showlegend: false, bargap: 0.35, xaxis: { title: { text: "core-hours" }, showgrid: true }, yaxis: { ticks: "" } },
  };
};

const sizesFigure = (pairs, force) => () => {
  const sorted = [...pairs].sort((a, b) => a.row.sites - b.row.sites);
  const sizes = sorted.map(({ row }) => plain(row.supercell));
  const series = (which, name, tone) => ({
    type: "box",
    name,
    x: sizes,
    y: sorted.map(({ steps }) => steps[which]),
    text: sorted.map(({ row }) => plain(row.label)),
    boxpoints: pairs.length > 600 ? "outliers" : "all",
    jitter: 0.5,
    pointpos: 0,
    marker: { color: colour(tone), size: 4, opacity: 0.6 },
    line: { width: 1.5 },
    hovertemplate: `%{text}: %{y} steps<extra>${name}</extra>`,
  });
  return {
    traces: [series(0, "unrelaxed start", "unrelaxed"), series(1, "prerelaxed start", "prerelaxed")],
    layout: {
      boxmode: "group",
      xaxis: { title: { text: "supercell" }, type: "category" },
      yaxis: { title: { text: `ionic steps to ${force} eV/Å` }, rangemode: "tozero" },
    },
  };
};

const savingsFigure = (pairs) => () => {
  const share = ({ steps }) => Math.max(-1.5, 1 - steps[1] / Math.max(steps[0], 1));
  const outcomes = ["same minimum", ...Object.keys(LOSERS)];
  const traces = outcomes.map((outcome, number) => {
    const values = pairs.filter(({ row }) => row.status === outcome).map(share);
    return {
      type: "histogram",
      name: outcome,
      x: values,
      xbins: { start: -1.55, end: 1.05, size: 0.1 },
      marker: {
        color: colour("prerelaxed"),
        pattern: { shape: HATCHES[number], fgcolor: colour("unrelaxed"), bgcolor: colour("paper"), size: 6, solidity: 0.4 },
        line: { color: number ? colour("unrelaxed") : colour("paper"), width: 1 },
      },
      hovertemplate: `%{y} configurations at %{x}<extra>${outcome}</extra>`,
    };
  });
  return {
    traces: traces.filter(({ x }) => x.length),
    layout: {
      barmode: "stack",
      xaxis: { title: { text: "share of the unrelaxed start's steps saved" }, tickformat: ".0%", zeroline: true },
      yaxis: { title: { text: "configurations" } },
    },
  };
};

/* Okabe and Ito's palette, then the same colours with other shapes; what is beyond is told apart by its name only. */
const TONES = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const SHAPES = ["circle", "triangle-up-open", "square", "diamond-open"];
const formationKey = (limit) => `formation, ${limit}`;

const formationFigure = (rows, key) => () => {
  const labels = [...new Set(rows.map((row) => row.label))].sort();
  const most = TONES.length * SHAPES.length;
  const named = labels.length > most ? labels.slice(0, most - 1) : labels;
  const series = (name, here, tone, symbol) => ({
    type: "scatter",
    mode: "markers",
    name: plain(name),
    x: here.map((row) => row.distance ?? 0),
    y: here.map((row) => row[key]),
    text: here.map((row) => plain(row.label)),
    customdata: here.map((row) => row.path),
    marker: { color: tone, symbol, size: 8, line: { width: 1.2, color: tone } },
    hovertemplate: "%{text}: %{y:.4f} eV at %{x:.2f} Å<extra></extra>",
  });
  const traces = named.map((label, number) =>
    series(label, rows.filter((row) => row.label === label), TONES[number % TONES.length], SHAPES[Math.floor(number / TONES.length)]),
  );
  const others = rows.filter((row) => !named.includes(row.label));
  const furthest = Math.max(2, ...rows.map((row) => row.distance ?? 0));
  return {
    traces: others.length ? [...traces, series("others", others, colour("quiet"), "x-thin-open")] : traces,
    layout: {
      xaxis: { title: { text: "distance (Å), 0 for one defect" }, range: [-0.6, furthest + 0.6] },
      yaxis: { title: { text: "formation energy (eV)" }, zeroline: true, zerolinecolor: colour("quiet") },
      legend: { orientation: "v", x: 1.02, y: 1, font: { size: 11 } },
      showlegend: window.innerWidth > 640, /* hovering tells it as well, and a phone has no room */
    },
  };
};

const formationFigures = (limits, rows, open) =>
  limits.map((limit) => {
    const key = formationKey(limit);
    const known = rows.filter((row) => row[key] !== undefined);
    return figure(`Formation energy, ${limit}`, "Of every configuration, against the smallest distance between two of its defects; a click opens it.", formationFigure(known, key), open);
  });

/* All figures of the overview at one threshold. */
const overviewFigures = (overview, rows, threshold, open) => {
  const key = threshold === "coarse" ? "coarse" : "counted";
  const pairs = rows.filter((row) => row.shown && row[key]).map((row) => ({ row, steps: row[key] }));
  const force = overview.thresholds[threshold];
  const cost = figure(
    "Core-hours",
    "Charged to the pairs above by the rules of the table, and spent on all relaxations, lost ones included.",
    coreHoursFigure(overview.charged, overview.spent),
  );
  if (!pairs.length) return [cost];
  return [
    figure("Ionic steps from both starts", "Losers are marked; a lost run's steps are charged on top of the other's.", stepsFigure(pairs, force), open),
    figure("Steps saved, per configuration", "1 − prerelaxed / unrelaxed; negative where the prediction cost steps, what lies below −150 % is drawn there.", savingsFigure(pairs)),
    figure("Steps by supercell", "Boxes span the quartiles, whiskers 1.5 times their distance.", sizesFigure(pairs, force)),
    cost,
  ];
};
