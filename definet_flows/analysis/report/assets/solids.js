/* Spheres, cylinders and cones along z, as triangles: [positions, normals]. */
const revolved = (profile, segments) => {
  /* profile: [radius, z, normal's radial part, normal's z part] from bottom to top */
  const positions = [];
  const normals = [];
  const push = ([radius, z, across, along], angle) => {
    positions.push(radius * Math.cos(angle), radius * Math.sin(angle), z);
    normals.push(across * Math.cos(angle), across * Math.sin(angle), along);
  };
  for (let ring = 0; ring + 1 < profile.length; ring++) {
    for (let segment = 0; segment < segments; segment++) {
      const [here, there] = [segment, segment + 1].map((s) => (2 * Math.PI * s) / segments);
      const [low, high] = [profile[ring], profile[ring + 1]];
      for (const [point, angle] of [[low, here], [low, there], [high, there], [low, here], [high, there], [high, here]]) push(point, angle);
    }
  }
  return { positions: new Float32Array(positions), normals: new Float32Array(normals) };
};
const sphere = (rings, segments) =>
  revolved(
    [...Array(rings + 1).keys()].map((ring) => {
      const angle = -Math.PI / 2 + (Math.PI * ring) / rings;
      return [Math.cos(angle), Math.sin(angle), Math.cos(angle), Math.sin(angle)];
    }),
    segments,
  );
const SOLIDS = {
  sphere: sphere(16, 24),
  rod: revolved([[1, 0, 1, 0], [1, 1, 1, 0]], 12),
  cone: revolved([[0, 0, 0, -1], [1, 0, 0, -1], [1, 0, 0.8, 0.6], [0, 1, 0.8, 0.6]], 14),
};

const VERTEX = `#version 300 es
in vec3 place; in vec3 normal;
in vec3 origin; in vec3 axis; in float radius; in vec4 tint;
uniform mat3 turn; uniform vec3 centre; uniform vec4 view; /* view: scale x, scale y, shift x, shift y */
uniform float depth;
out vec3 facing; out vec4 paint; out float far;
void main() {
  float size = length(axis);
  vec3 z = axis / size;
  vec3 x = normalize(cross(abs(z.z) < 0.9 ? vec3(0, 0, 1) : vec3(1, 0, 0), z));
  vec3 y = cross(z, x);
  vec3 at = origin + radius * (x * place.x + y * place.y) + axis * place.z;
  facing = turn * (x * normal.x + y * normal.y + z * normal.z);
  vec3 seen = turn * (at - centre);
  far = 0.5 - 0.5 * seen.z / depth;
  paint = tint;
  gl_Position = vec4(seen.x * view.x + view.z, seen.y * view.y + view.w, -seen.z / depth, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec3 facing; in vec4 paint; in float far;
uniform vec3 paper;
out vec4 result;
void main() {
  vec3 n = normalize(facing);
  float light = 0.42 + 0.58 * max(dot(n, normalize(vec3(-0.35, 0.5, 0.8))), 0.0);
  float gleam = pow(max(dot(reflect(normalize(vec3(0.35, -0.5, -0.8)), n), vec3(0, 0, 1)), 0.0), 24.0);
  float rim = smoothstep(0.0, 0.35, n.z);
  vec3 shade = paint.rgb * light * mix(0.55, 1.0, rim) + 0.16 * gleam;
  result = vec4(mix(shade, paper, 0.45 * clamp(far * 1.4 - 0.4, 0.0, 1.0)), 1.0) * paint.a;
}`;

/* Draws many copies of the solids; null where the browser has no WebGL 2. */
class Painter {
  static on(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: true, alpha: true, premultipliedAlpha: true, preserveDrawingBuffer: true });
    return gl ? new Painter(gl) : null;
  }

  constructor(gl) {
    this.gl = gl;
    this.program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    gl.linkProgram(this.program);
    if (!gl.getProgramParameter(this.program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(this.program));
    this.meshes = Object.fromEntries(Object.entries(SOLIDS).map(([name, solid]) => [name, this.mesh(solid)]));
  }

  mesh({ positions, normals }) {
    const { gl, program } = this;
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    for (const [name, values] of [["place", positions], ["normal", normals]]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      const attribute = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(attribute);
      gl.vertexAttribPointer(attribute, 3, gl.FLOAT, false, 0, 0);
    }
    const copies = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, copies);
    for (const [name, size, offset] of [["origin", 3, 0], ["axis", 3, 3], ["radius", 1, 6], ["tint", 4, 7]]) {
      const attribute = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(attribute);
      gl.vertexAttribPointer(attribute, size, gl.FLOAT, false, 44, 4 * offset);
      gl.vertexAttribDivisor(attribute, 1);
    }
    return { array, copies, count: positions.length / 3 };
  }

  /* scene: [solid, origin, axis, radius, [r, g, b, a]] each; the translucent ones are drawn last. */
  load(scene) {
    const { gl } = this;
    const batches = [];
    for (const clear of [false, true]) {
      for (const solid of Object.keys(SOLIDS)) {
        const copies = scene.filter(([kind, , , , tint]) => kind === solid && tint[3] < 1 === clear);
        if (copies.length) batches.push({ solid, clear, values: new Float32Array(copies.flatMap(([, ...values]) => values.flat())) });
      }
    }
    this.batches = batches;
    gl.useProgram(this.program);
  }

  paint({ turn, centre, view, depth, paper }) {
    const { gl, program } = this;
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const at = (name) => gl.getUniformLocation(program, name);
    gl.uniformMatrix3fv(at("turn"), true, turn);
    gl.uniform3fv(at("centre"), centre);
    gl.uniform4fv(at("view"), view);
    gl.uniform1f(at("depth"), depth);
    gl.uniform3fv(at("paper"), paper);
    for (const { solid, clear, values } of this.batches) {
      const { array, copies, count } = this.meshes[solid];
      gl.bindVertexArray(array);
      gl.bindBuffer(gl.ARRAY_BUFFER, copies);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
      gl.depthMask(!clear);
      gl.drawArraysInstanced(gl.TRIANGLES, 0, count, values.length / 11);
      gl.depthMask(true);
    }
  }
}
