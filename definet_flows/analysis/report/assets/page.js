/* What is where: the overview, a configuration by its address, light and dark, and reloading while a campaign runs. */
const COLUMNS = [
  { key: "label", title: "Defects", always: true, wrapped: true, cell: (row) => make("a", { href: `#/configuration/${row.path}` }, row.label) },
  { key: "supercell", title: "Supercell" },
  { key: "charge", title: "Charge", number: true },
  { key: "status", title: "Outcome", always: true, wrapped: true, cell: (row) => make("span", { class: row.status in LOSERS || row.status === "failed" || row.status === "did not converge" ? "lost" : null }, row.status) },
  { key: "unrelaxed", title: "Steps unrelaxed", number: true },
  { key: "prerelaxed", title: "Steps prerelaxed", number: true },
  { key: "saved", title: "Steps saved", number: true },
  { key: "core_hours_saved", title: "Core-hours saved", number: true, digits: 3 },
  { key: "trust", title: "Trust", number: true, digits: 2 },
  { key: "displacement", title: "Predicted move (Å)", number: true, digits: 3 },
  { key: "energy", title: "Energy (eV)", number: true, digits: 8 },
  { key: "exposure", title: "Cluster in training" },
  { key: "id", title: "Configuration" },
];
/* Known where the energies of the elements are, each limit with a column of its own. */
const energyColumns = (limits) => [
  { key: "distance", title: "Distance (Å)", number: true, digits: 4 },
  { key: "binding", title: "Binding (eV)", number: true, digits: 4 },
  ...limits.map((limit) => ({ key: formationKey(limit), title: `Formation, ${limit} (eV)`, number: true, digits: 5 })),
];
const FILTERS = [
  { key: "status", title: "Outcome" },
  { key: "exposure", title: "Cluster in training" },
  { key: "supercell", title: "Supercell" },
];

const rowsOf = ({ columns }) =>
  (columns.id ?? []).map((id, number) => {
    const row = Object.fromEntries(Object.entries(columns).map(([key, values]) => [key, values[number]]));
    for (const [limit, energy] of Object.entries(row.formation ?? {})) row[formationKey(limit)] = energy;
    return { ...row, path: row.charge ? `${id}:${row.charge}` : id };
  });

class Page {
  constructor(overview) {
    this.overview = overview;
    this.rows = rowsOf(overview);
    this.numbers = new Map(this.rows.map(({ path }, number) => [path, number]));
    this.configurations = new Configurations(overview);
    const columns = [...COLUMNS.slice(0, -2), ...(overview.limits.length ? energyColumns(overview.limits) : []), ...COLUMNS.slice(-2)];
    const telling = columns.filter(({ key, always }) => always || new Set(this.rows.map((row) => row[key])).size > 1);
    this.table = new RowTable(document.querySelector("#configurations .configurations"), this.rows, telling, FILTERS, "table");
    this.scrolled = 0;
    this.atOverview = true;
    this.drawFigures();
    window.addEventListener("hashchange", () => this.route());
    window.addEventListener("keydown", (event) => this.key(event));
  }

  drawFigures() {
    const place = document.querySelector("#figures .figures");
    const open = (path) => { location.hash = `#/configuration/${path}`; };
    const show = (threshold) => {
      place.replaceChildren(...overviewFigures(this.overview, this.rows, threshold, open));
      redrawFigures();
    };
    if ("coarse" in this.overview.thresholds) {
      const select = make("select", {}, Object.entries(this.overview.thresholds).reverse().map(([key, force]) => make("option", { value: key }, `${force} eV/Å`)));
      select.addEventListener("change", () => show(select.value));
      place.before(make("div", { class: "choices" }, make("label", {}, "Steps to", select)));
    }
    show("engine");
    document.querySelector("#energies .figures")?.replaceChildren(...formationFigures(this.overview.limits, this.rows, open));
  }

  key(event) {
    if (this.atOverview || event.target.closest("input, select, canvas, button") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") location.hash = "#/configurations";
    const link = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
    if (link) document.querySelector(`#configuration a[rel=${link === "previous" ? "prev" : "next"}]`)?.click();
  }

  route() {
    if (location.hash && !location.hash.startsWith("#/")) return; /* a place on this page */
    const [, kind, name] = decodeURIComponent(location.hash).split("/");
    if (kind === "configuration") return this.open(name);
    const came = !this.atOverview;
    byId("configuration").hidden = true;
    byId("configuration").replaceChildren();
    byId("overview").hidden = false;
    this.atOverview = true;
    document.title = this.title ??= document.title;
    if (came) redrawFigures();
    const section = kind ? byId(kind) : null;
    if (came && (!kind || kind === "configurations")) window.scrollTo(0, this.scrolled);
    else if (section) section.scrollIntoView();
    else window.scrollTo(0, 0);
  }

  async open(path) {
    this.title ??= document.title;
    if (this.atOverview) this.scrolled = window.scrollY;
    this.atOverview = false;
    const article = byId("configuration");
    byId("overview").hidden = true;
    article.hidden = false;
    const number = this.numbers.get(path);
    if (number === undefined) {
      article.replaceChildren(this.crumbs(null), make("p", { class: "notice" }, `There is no configuration ${path} in this report.`));
      return;
    }
    const row = this.rows[number];
    const found = await this.configurations.get(number);
    if (location.hash !== `#/configuration/${path}` && decodeURIComponent(location.hash) !== `#/configuration/${path}`) return;
    article.replaceChildren(...configurationArticle(row, found, this.overview, this.crumbs(number)).filter(Boolean));
    document.title = `${row.label} – ${this.title}`;
    window.scrollTo(0, 0);
    article.querySelector("h1").focus({ preventScroll: true });
  }

  crumbs(number) {
    const place = this.table.order.indexOf(number);
    const link = (offset, text, rel) => {
      const other = place < 0 ? undefined : this.table.order[place + offset];
      return other === undefined ? null : make("a", { href: `#/configuration/${this.rows[other].path}`, rel }, text);
    };
    return make("nav", { class: "crumbs", "aria-label": "Configurations" }, make("a", { href: "#/configurations" }, "← All configurations"), make("span", { class: "grow" }), link(-1, "Previous", "prev"), link(1, "Next", "next"));
  }
}

/* Light and dark: as the system says until the button is used. */
const themed = (page) => {
  const button = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => remembered.get("theme", null) ?? (system.matches ? "dark" : "light");
  const apply = () => {
    document.documentElement.dataset.theme = current();
    button.textContent = current() === "dark" ? "Light" : "Dark";
    page()?.recolour();
  };
  button.addEventListener("click", () => {
    remembered.set("theme", current() === "dark" ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  apply();
};
Page.prototype.recolour = function () {
  redrawFigures();
  if (!this.atOverview) this.route();
};

/* While a campaign runs its page is written anew; the open one reads itself again, unless it is told not to. */
const reloading = () => {
  const seconds = Number(document.documentElement.dataset.reload);
  if (!seconds) return;
  const button = byId("live");
  const tell = () => {
    const paused = remembered.get("paused", false);
    button.textContent = paused ? "Live: paused" : `Live: every ${seconds} s`;
    button.setAttribute("aria-pressed", String(!paused));
  };
  button.hidden = false;
  button.title = "The campaign is running: this page reads itself again";
  button.addEventListener("click", () => {
    remembered.set("paused", !remembered.get("paused", false));
    tell();
  });
  tell();
  setInterval(() => {
    const busy = document.hidden || document.querySelector("canvas:active, input:focus, select:focus");
    if (remembered.get("paused", false) || busy) return;
    remembered.set("scrolled", window.scrollY);
    location.reload();
  }, 1000 * seconds);
};

const begin = async () => {
  let page = null;
  themed(() => page);
  if (!("DecompressionStream" in window)) throw new Error("this browser is too old: Chrome 80, Firefox 113 or Safari 16.4 and later can open it");
  page = new Page(JSON.parse(await unpackedText("overview")));
  await page.route();
  reloading();
  const scrolled = remembered.get("scrolled", null);
  if (scrolled !== null) window.scrollTo(0, scrolled);
  remembered.set("scrolled", null);
  document.documentElement.dataset.ready = "yes";
};
begin().catch((error) => {
  byId("trouble").textContent = `Figures and tables cannot be shown: ${error.message}.`;
  byId("trouble").hidden = false;
  throw error;
});
