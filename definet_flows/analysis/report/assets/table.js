/* A table of thousands of rows of which one page is in the document: searched, filtered, sorted. */
const ROWS_PER_PAGE = 50;

class RowTable {
  /* columns: {key, title, number, wrapped, digits, cell(row)}; filters: {key, title}; rows: objects. */
  constructor(place, rows, columns, filters, name) {
    Object.assign(this, { rows, columns, filters, name });
    const saved = remembered.get(name, {});
    this.state = { search: "", chosen: {}, sort: null, descending: false, page: 0, ...saved };
    this.texts = rows.map((row) => columns.map(({ key }) => row[key] ?? "").join(" ").toLowerCase());
    this.body = make("tbody");
    this.told = make("output", { "aria-live": "polite" });
    this.previous = make("button", { type: "button", onclick: () => this.turn(-1) }, "Previous");
    this.next = make("button", { type: "button", onclick: () => this.turn(1) }, "Next");
    place.replaceChildren(
      this.choices(),
      make("div", { class: "scroll" }, make("table", {}, this.head(), this.body)),
      make("div", { class: "pager" }, this.previous, this.next, this.told),
    );
    this.draw();
  }

  choices() {
    const search = make("input", { type: "search", placeholder: "label, id, outcome …", autocomplete: "off", spellcheck: "false" });
    search.value = this.state.search;
    search.addEventListener("input", () => this.change({ search: search.value }));
    const selects = this.filters.map(({ key, title }) => {
      const values = [...new Set(this.rows.map((row) => row[key]))].filter((value) => value !== null).sort();
      const select = make("select", {}, make("option", { value: "" }, "all"), values.map((value) => make("option", { value }, value)));
      select.value = this.state.chosen[key] ?? "";
      if (select.selectedIndex < 0) select.value = "";
      select.addEventListener("change", () => this.change({ chosen: { ...this.state.chosen, [key]: select.value } }));
      return values.length > 1 ? make("label", {}, title, select) : null;
    });
    return make("div", { class: "choices", role: "search" }, make("label", { class: "grow" }, "Search", search), selects);
  }

  head() {
    this.headers = this.columns.map(({ key, title, number }) =>
      make(
        "th",
        { scope: "col", class: number ? "number" : null, "aria-sort": "none", "data-key": key },
        make("button", { type: "button", onclick: () => this.sortBy(key) }, title),
      ),
    );
    return make("thead", {}, make("tr", {}, this.headers));
  }

  sortBy(key) {
    const again = this.state.sort === key;
    this.change({ sort: key, descending: again && !this.state.descending });
  }

  turn(pages) {
    this.change({ page: this.state.page + pages });
  }

  change(changes) {
    this.state = { ...this.state, page: 0, ...changes };
    remembered.set(this.name, this.state);
    this.draw();
  }

  /* Numbers of the rows that fit, in order. */
  found() {
    const words = this.state.search.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = Object.entries(this.state.chosen).filter(([, value]) => value);
    const fitting = [...this.rows.keys()].filter(
      (number) =>
        words.every((word) => this.texts[number].includes(word)) &&
        wanted.every(([key, value]) => this.rows[number][key] === value),
    );
    const { sort, descending } = this.state;
    if (sort === null) return fitting;
    const sign = descending ? -1 : 1;
    const order = (one, other) => {
      const [a, b] = [this.rows[one][sort], this.rows[other][sort]];
      if (a === b) return one - other;
      if (a === null || a === undefined) return 1; /* what is not known comes last either way */
      if (b === null || b === undefined) return -1;
      return sign * (typeof a === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    };
    return fitting.sort(order);
  }

  draw() {
    this.order = this.found();
    const pages = Math.max(1, Math.ceil(this.order.length / ROWS_PER_PAGE));
    this.state.page = Math.min(Math.max(this.state.page, 0), pages - 1);
    const first = this.state.page * ROWS_PER_PAGE;
    const visible = this.order.slice(first, first + ROWS_PER_PAGE);
    this.body.replaceChildren(...visible.map((number) => this.line(this.rows[number])));
    for (const header of this.headers) {
      const mine = header.dataset.key === this.state.sort;
      header.setAttribute("aria-sort", mine ? (this.state.descending ? "descending" : "ascending") : "none");
    }
    this.previous.disabled = this.state.page === 0;
    this.next.disabled = this.state.page === pages - 1;
    const of = this.order.length === this.rows.length ? `${this.rows.length}` : `${this.order.length} (all: ${this.rows.length})`;
    this.told.textContent = this.order.length
      ? `${first + 1} to ${first + visible.length} of ${of} configurations`
      : `None of ${this.rows.length} configurations fits; search for less.`;
  }

  line(row) {
    return make(
      "tr",
      {},
      this.columns.map(({ key, number, wrapped, digits, cell }) =>
        make("td", { class: number ? "number" : wrapped ? "wrapped" : "name" }, cell ? cell(row) : shown(row[key], digits)),
      ),
    );
  }
}
