/* One configuration in space: its structures, and arrows from the shown one to another. */
const VACANT = "Vac";
const ARROW_SHORTEST = 0.12; /* Å on the screen; shorter ones would be specks */
const TURNS = {
  tilted: [[1, 0, 0], [0, 0.5, 0.866], [0, -0.866, 0.5]],
  top: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  side: [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
};
const times = (a, b) => a.map((row) => b[0].map((_, j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0)));
const applied = (matrix, v) => matrix.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
const plus = (a, b, scale = 1) => [a[0] + scale * b[0], a[1] + scale * b[1], a[2] + scale * b[2]];
const norm = (v) => Math.hypot(...v);
const crossed = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/* The periodic images of places around a point: [places], within half a cell along each lattice vector that repeats. */
const imagesAround = (centre, places, lattice, repeats) => {
  const [a, b, c] = lattice;
  const volume = dot(a, crossed(b, c));
  const reciprocal = [crossed(b, c), crossed(c, a), crossed(a, b)].map((v) => v.map((x) => x / volume));
  return places.map((place) =>
    repeats.reduce((image, axis) => {
      const cells = dot(reciprocal[axis], plus(image, centre, -1));
      return plus(image, lattice[axis], -Math.floor(cells + 0.5 - 1e-6));
    }, place),
  );
};

const spun = (angle, axis) => {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return axis === "x" ? [[1, 0, 0], [0, c, -s], [0, s, c]] : [[c, 0, s], [0, 1, 0], [-s, 0, c]];
};
const tintOf = (name, alpha = 1) => {
  const [r, g, b] = colour(name).match(/[0-9a-f]{2}/gi).map((pair) => parseInt(pair, 16) / 255);
  return [r, g, b, alpha];
};

class StructureViewer {
  /* structures: [{name, moved}], moved [n_sites][3] in Å from the pristine places; null for the unrelaxed one. */
  constructor(place, { host, elements, defects, structures }) {
    Object.assign(this, { host, elements, structures });
    this.repeats = host.layer ? [0, 1] : [0, 1, 2];
    const defectPlaces = imagesAround(host.positions[defects[0][0]], defects.map(([site]) => host.positions[site]), host.lattice, this.repeats);
    this.middle = defectPlaces.reduce((sum, place) => plus(sum, place, 1 / defects.length), [0, 0, 0]);
    this.places = imagesAround(this.middle, host.positions, host.lattice, this.repeats);
    this.species = [...host.species];
    this.changed = new Map(defects);
    for (const [site, species] of defects) this.species[site] = species;
    this.state = { shown: 0, target: structures.length - 1, scale: 10, turn: TURNS[host.layer ? "tilted" : "top"], zoom: 1, pan: [0, 0] };
    if (!host.layer) this.state.turn = times(spun(0.35, "x"), times(spun(-0.5, "y"), TURNS.top));
    this.measure();
    this.state.scale = this.fittingScale();
    this.canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": `Structure in three dimensions, ${this.species.length} sites. Arrow keys turn it, plus and minus change its size, 0 puts it back.` });
    this.told = make("p", { class: "told", "aria-live": "polite" });
    const views = Object.entries({ top: "Top", side: "Side", tilted: "Tilted" }).map(([key, name]) =>
      make("button", { type: "button", onclick: () => this.face(TURNS[key]) }, name),
    );
    const stage = make("div", { class: "stage" }, this.canvas, make("div", { class: "views" }, views), this.told);
    place.replaceChildren(this.controls(), stage, this.legend());
    this.painter = Painter.on(this.canvas);
    if (!this.painter) {
      stage.replaceChildren(make("p", { class: "notice" }, "This browser offers no WebGL 2, so structures cannot be drawn; the largest displacements are listed below."));
      return;
    }
    this.listen();
    this.rebuild();
    let faced = false;
    new ResizeObserver(() => {
      if (faced) this.draw();
      else this.face(this.state.turn);
      faced = true;
    }).observe(this.canvas);
  }

  at(structure, site) {
    const { moved } = this.structures[structure];
    return moved ? plus(this.places[site], moved[site]) : this.places[site];
  }

  arrow(site) {
    return plus(this.at(this.state.target, site), this.at(this.state.shown, site), -1);
  }

  measure() {
    const positions = this.places;
    const lows = [0, 1, 2].map((k) => Math.min(...positions.map((p) => p[k])));
    const highs = [0, 1, 2].map((k) => Math.max(...positions.map((p) => p[k])));
    this.centre = lows.map((low, k) => (low + highs[k]) / 2);
    this.reach = Math.max(...positions.map((p) => norm(plus(p, this.centre, -1)))) + 2;
  }

  fittingScale() {
    const longest = Math.max(1e-3, ...this.species.map((_, site) => norm(this.arrow(site))));
    return Math.min(50, Math.max(1, Math.round(3 / longest)));
  }

  controls() {
    const names = this.structures.map(({ name }) => name);
    this.buttons = names.map((name, number) => make("button", { type: "button", "aria-pressed": "false", onclick: () => this.change({ shown: number }) }, name));
    const target = make("select", {}, make("option", { value: "-1" }, "none"), names.map((name, number) => make("option", { value: number }, `to ${name.toLowerCase()}`)));
    target.value = String(this.state.target);
    target.addEventListener("change", () => this.change({ target: Number(target.value) }));
    const scale = make("input", { type: "range", min: "1", max: "50", step: "1" });
    scale.value = String(this.state.scale);
    this.scaleTold = make("output", {}, `×${scale.value}`);
    scale.addEventListener("input", () => this.change({ scale: Number(scale.value) }));
    return make(
      "div",
      { class: "choices" },
      make("div", { class: "group", role: "group", "aria-label": "Structure" }, this.buttons),
      make("label", {}, "Arrows", target),
      make("label", {}, make("span", {}, "Arrow length ", this.scaleTold), scale),
    );
  }

  legend() {
    const rgb = ([r, g, b]) => `rgb(${255 * r} ${255 * g} ${255 * b})`;
    const kinds = [...new Set(this.species)].map((species) => {
      const dot = make("i");
      dot.style.background = species === VACANT ? "transparent" : rgb(this.elements[species].colour);
      return make("li", {}, dot, species === VACANT ? "vacancy" : species);
    });
    const halo = make("i");
    halo.style.background = colour("unrelaxed");
    return make("ul", { class: "legend" }, kinds, make("li", {}, halo, "shell: changed site"));
  }

  change(changes) {
    Object.assign(this.state, changes);
    this.rebuild();
  }

  rebuild() {
    this.buttons.forEach((button, number) => button.setAttribute("aria-pressed", String(number === this.state.shown)));
    this.scaleTold.textContent = `×${this.state.scale}`;
    if (!this.painter) return;
    this.painter.load([...this.atoms(), ...this.bonds(), ...this.outline(), ...this.arrows()]);
    this.draw();
  }

  radius(site) {
    const species = this.species[site];
    return 0.36 * (species === VACANT ? 1.3 : this.elements[species].radius);
  }

  atoms() {
    const scene = [];
    const ball = (site, radius, tint) => scene.push(["sphere", this.at(this.state.shown, site), [0, 0, radius], radius, tint]);
    this.species.forEach((species, site) => {
      const radius = this.radius(site);
      if (species !== VACANT) ball(site, radius, [...this.elements[species].colour, 1]);
      if (this.changed.has(site)) ball(site, radius + 0.3, tintOf("unrelaxed", 0.45));
    });
    return scene;
  }

  /* Pairs near enough for their radii and, so that metals of a compound stay apart, not much further than either's nearest. */
  bonded() {
    const places = this.species.map((_, site) => this.at(this.state.shown, site));
    const real = this.species.map((species, site) => [species, site]).filter(([species]) => species !== VACANT);
    const nearest = new Map();
    const pairs = [];
    for (const [position, [one, i]] of real.entries()) {
      for (const [other, j] of real.slice(position + 1)) {
        const between = plus(places[j], places[i], -1);
        const length = norm(between);
        if (length > 1.2 * (this.elements[one].radius + this.elements[other].radius)) continue;
        for (const site of [i, j]) nearest.set(site, Math.min(length, nearest.get(site) ?? length));
        pairs.push({ i, j, start: places[i], between, length });
      }
    }
    return pairs.filter(({ i, j, length }) => length <= 1.25 * Math.max(nearest.get(i), nearest.get(j)));
  }

  bonds() {
    return this.bonded().flatMap(({ i, j, start, between }) => {
      const half = between.map((x) => x / 2);
      const tint = (site) => [...this.elements[this.species[site]].colour, 1];
      return [["rod", start, half, 0.09, tint(i)], ["rod", plus(start, half), half, 0.09, tint(j)]];
    });
  }

  /* Edges of the cell as [start, along]; of a layer's, those in its middle plane. */
  edges() {
    const [a, b, c] = this.host.lattice;
    const corner = this.repeats.reduce((place, axis) => plus(place, this.host.lattice[axis], -0.5), this.middle);
    if (this.host.layer) corner[2] = this.centre[2];
    const around = (start) => [[start, a], [start, b], [plus(start, b), a], [plus(start, a), b]];
    const upright = [corner, plus(corner, a), plus(corner, b), plus(plus(corner, a), b)].map((start) => [start, c]);
    return this.host.layer ? around(corner) : [...around(corner), ...around(plus(corner, c)), ...upright];
  }

  outline() {
    return this.edges().map(([start, along]) => ["rod", start, along, 0.04, tintOf("edge")]);
  }

  arrows() {
    if (this.state.target < 0) return [];
    const tint = tintOf("ink");
    const scene = [];
    this.species.forEach((species, site) => {
      const whole = this.arrow(site).map((x) => x * this.state.scale);
      const length = norm(whole);
      if (species === VACANT || length < ARROW_SHORTEST) return;
      const head = Math.min(0.6, 0.5 * length);
      const start = this.at(this.state.shown, site);
      const shaft = whole.map((x) => (x * (length - head)) / length);
      scene.push(["rod", start, shaft, 0.12, tint]);
      scene.push(["cone", plus(start, shaft), whole.map((x) => (x * head) / length), Math.min(0.3, 0.5 * head), tint]);
    });
    return scene;
  }

  view() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const span = this.reach / this.state.zoom;
    const [x, y] = width < height ? [1 / span, width / height / span] : [height / width / span, 1 / span];
    return [x, y, ...this.state.pan];
  }

  draw() {
    const { canvas, state } = this;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    this.painter.paint({ turn: state.turn.flat(), centre: this.centre, view: this.view(), depth: 1.5 * this.reach, paper: tintOf("sheet").slice(0, 3) });
    canvas.dataset.turn = state.turn.flat().map((x) => x.toFixed(3)).join(" ");
  }

  /* Turn to a side and fill the frame. */
  face(turn) {
    const seen = [...this.places, ...this.edges().flatMap(([start, along]) => [start, plus(start, along)])].map((position) => applied(turn, plus(position, this.centre, -1)));
    const [x, y] = [0, 1].map((k) => Math.max(...seen.map((v) => Math.abs(v[k]))) + 1.2);
    Object.assign(this.state, { turn, zoom: 1, pan: [0, 0] });
    const [sx, sy] = this.view();
    this.state.zoom = 1 / Math.max(x * sx, y * sy);
    this.draw();
  }

  turnBy(x, y) {
    this.state.turn = times(spun(y, "x"), times(spun(x, "y"), this.state.turn));
    this.draw();
  }

  zoomBy(factor) {
    this.state.zoom = Math.min(12, Math.max(0.5, this.state.zoom * factor));
    this.draw();
  }

  panBy(x, y) {
    const { clientWidth, clientHeight } = this.canvas;
    this.state.pan = [this.state.pan[0] + (2 * x) / clientWidth, this.state.pan[1] - (2 * y) / clientHeight];
    this.draw();
  }

  listen() {
    const { canvas } = this;
    const fingers = new Map();
    const spread = () => {
      const [one, other] = [...fingers.values()];
      return Math.hypot(one[0] - other[0], one[1] - other[1]);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return this.tell(event);
      const apart = fingers.size === 2 ? spread() : 0;
      const [x, y] = [event.clientX - before[0], event.clientY - before[1]];
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      if (fingers.size === 2) this.zoomBy(spread() / Math.max(apart, 1));
      else if (event.shiftKey || event.buttons === 2) this.panBy(x, y);
      else this.turnBy(0.01 * x, 0.01 * y);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-0.0015 * event.deltaY));
    }, { passive: false });
    const keys = {
      ArrowLeft: () => this.turnBy(-0.1, 0), ArrowRight: () => this.turnBy(0.1, 0),
      ArrowUp: () => this.turnBy(0, -0.1), ArrowDown: () => this.turnBy(0, 0.1),
      "+": () => this.zoomBy(1.2), "-": () => this.zoomBy(1 / 1.2),
      0: () => this.face(TURNS.tilted),
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  /* Say what lies under the pointer. */
  tell(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const [sx, sy, px, py] = this.view();
    let best = null;
    this.species.forEach((species, site) => {
      const seen = applied(this.state.turn, plus(this.at(this.state.shown, site), this.centre, -1));
      const x = left + (width * (seen[0] * sx + px + 1)) / 2;
      const y = top + (height * (1 - seen[1] * sy - py)) / 2;
      const within = (this.radius(site) * sx * width) / 2;
      const inside = Math.hypot(event.clientX - x, event.clientY - y) < Math.max(within, 5);
      if (inside && (best === null || seen[2] > best.height)) best = { site, height: seen[2] };
    });
    this.told.textContent = best === null ? "" : this.described(best.site);
  }

  described(site) {
    const was = this.host.species[site];
    const now = this.species[site];
    if (now === VACANT) return `site ${site}: vacancy, ${was} removed`;
    const moves = this.structures.slice(1).map(({ name, moved }) => `${name.toLowerCase()} ${norm(moved[site]).toFixed(3)} Å`);
    return `site ${site}: ${now}${now === was ? "" : ` in place of ${was}`}; moved: ${moves.join(", ")}`;
  }
}
