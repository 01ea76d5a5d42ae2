"""DefiNet written a second time, as plainly as the equations: one structure, a flat edge list, float64, no modules.

It shares nothing with the package: weights come as {published parameter name: tensor}, the edge list from ASE.
"""

from __future__ import annotations

import math

import ase
import numpy as np
import torch
from ase.neighborlist import neighbor_list


def edge_list(positions, lattice, radius, max_neighbours, tolerance=1e-3):
    """[(i, j, image shift)] with every site's shells kept whole under the cap, by plain loops."""
    atoms = ase.Atoms(numbers=[1] * len(positions), positions=positions, cell=lattice, pbc=True)
    i, j, shifts, distances = neighbor_list("ijSd", atoms, radius + 0.01)
    edges = []
    for site in range(len(positions)):
        mine = sorted((distances[e], j[e], tuple(shifts[e])) for e in np.flatnonzero(i == site))
        shells = []
        for edge in mine:
            if shells and edge[0] - shells[-1][-1][0] <= tolerance:
                shells[-1].append(edge)
            else:
                shells.append([edge])
        kept = 0
        for shell in shells:
            if shell[0][0] > radius + 1e-6 or kept + len(shell) > max_neighbours:
                break
            kept += len(shell)
            edges += [(site, neighbour, shift) for _, neighbour, shift in shell]
    return edges


def relaxed_positions(weights, config, atomic_numbers, markers, positions, lattice, edges=None):
    """[N, 3] float64 coordinates of one structure, step by step as published."""
    w = {name: tensor.double() for name, tensor in weights.items()}
    if edges is None:
        edges = edge_list(positions, lattice, config.graph_radius, config.max_neighbours)
    if not config.placeholders:
        return without_vacancies(weights, config, atomic_numbers, markers, positions, lattice, edges)
    i = torch.tensor([edge[0] for edge in edges])
    j = torch.tensor([edge[1] for edge in edges])
    offsets = torch.tensor(np.array([edge[2] for edge in edges]) @ np.array(lattice), dtype=torch.float64)
    r = torch.tensor(np.array(positions), dtype=torch.float64)
    markers = torch.as_tensor(np.array(markers)).long()
    m = w["defect_emb.embeddings.weight"][markers]
    x = linear(w, "lin_comb", torch.cat([w["atom_emb.embeddings.weight"][torch.as_tensor(atomic_numbers)], m], dim=1))
    n_features = x.shape[1]
    v = torch.zeros(len(r), 3, n_features, dtype=torch.float64)
    if config.global_node:
        x_global, v_global = w["vn_emb.weight"][0], torch.zeros(3, n_features, dtype=torch.float64)
    for n in range(config.n_layers):
        edge = r[j] + offsets - r[i]
        d = edge.pow(2).sum(1).clamp(min=1e-8).sqrt()
        e = -edge / d[:, None]
        radial = radial_features(d, config)
        if config.global_node:
            x = mlp(w, f"virtual_scalar_layers.{n}.mlp_node", torch.cat([x, x_global.expand_as(x)], 1), True) + x
            v = linear(w, f"virtual_vector_layers.{n}.mlp_node", v + v_global) + v
        dx, dv = messages(w, f"message_passing_layers.{n}", config, x, v, m, radial, e, i, j)
        x, v = (x + dx) / math.sqrt(2), v + dv
        dx, dv = self_update(w, f"message_update_layers.{n}", config, x, v)
        x, v = (x + dx) / math.sqrt(2), v + dv
        if config.coordinate_update:
            r = r + coordinates(w, f"coord_update_layers.{n}", config, x, v, m, radial, e, i, j)
        elif n == config.n_layers - 1:
            r = r + coordinates(w, "coord_update_layers.0", config, x, v, m, radial, e, i, j)
        if config.global_node:
            pair = torch.cat([x.mean(0), x_global])
            x_global = x_global + mlp(w, f"virtual_scalar_layers.{n}.mlp_vn", pair, True)
            v_global = v_global + linear(w, f"virtual_vector_layers.{n}.mlp_vn", v.mean(0) + v_global)
    return r


def without_vacancies(weights, config, atomic_numbers, markers, positions, lattice, edges):
    """The defect-implicit network: the structure of the atoms that are there, none of them marked."""
    real = [site for site in range(len(positions)) if markers[site] != 2]
    number = {site: n for n, site in enumerate(real)}
    kept = [(number[i], number[j], shift) for i, j, shift in edges if i in number and j in number]
    arrays = ([atomic_numbers[site] for site in real], [0] * len(real), [positions[site] for site in real])
    whole = config.model_copy(update={"placeholders": True})
    relaxed = torch.tensor(np.array(positions), dtype=torch.float64)
    relaxed[real] = relaxed_positions(weights, whole, *arrays, lattice, kept)
    return relaxed


def messages(w, name, config, x, v, m, radial, e, i, j):
    t = linear(w, f"{name}.edge_proj", radial)
    message = mlp(w, f"{name}.x_proj", x)[j] * t / math.sqrt(3)
    if config.marker_gate:
        g = linear(w, f"{name}.defect_proj", m)
        message = message * (g[j] + g[i])
    n_features = x.shape[1]
    w1, w2, w3 = message[:, :n_features], message[:, n_features : 2 * n_features], message[:, 2 * n_features :]
    to_vectors = (w1[:, None, :] * v[j] + w2[:, None, :] * e[:, :, None]) / math.sqrt(n_features)
    dv = torch.zeros_like(v).index_add(0, i, to_vectors)
    return torch.zeros_like(x).index_add(0, i, w3), activation(w, name, config, dv)


def self_update(w, name, config, x, v):
    n_features = x.shape[1]
    projected = linear(w, f"{name}.vec_proj", v)
    p, q = projected[:, :, :n_features], projected[:, :, n_features:]
    y = mlp(w, f"{name}.xvec_proj", torch.cat([x, torch.sqrt((q**2).sum(1) + 1e-8)], 1))
    y1, y2, y3 = y[:, :n_features], y[:, n_features : 2 * n_features], y[:, 2 * n_features :]
    return y2 / math.sqrt(2) + x * torch.tanh(y3), activation(w, name, config, y1[:, None, :] * p)


def coordinates(w, name, config, x, v, m, radial, e, i, j):
    state = mlp(w, f"{name}.x_proj", x)[j] * linear(w, f"{name}.edge_proj", radial)
    if config.marker_gate:
        g = linear(w, f"{name}.defect_proj", m)
        state = state * (g[j] + g[i])
    k = mlp(w, f"{name}.coord_mlp", state)
    along_edges = torch.zeros(len(x), 3, dtype=torch.float64).index_add(0, i, k * e)
    return (linear(w, f"{name}.lin_vec2coord", v)[:, :, 0] + along_edges) / 2


def activation(w, name, config, v):
    if not config.vector_activation:
        return v
    full = linear(w, f"{name}.vec_activation.lin_vec", v)
    consensus = linear(w, f"{name}.vec_activation.lin_gvec", v)
    agree = (full * consensus).sum(1) >= 0
    return torch.where(agree[:, None, :], full, (full + consensus) / 2)


def radial_features(d, config):
    s = d / config.radial_cutoff
    envelope = torch.where(s < 1, 1 - 21 * s**5 + 35 * s**6 - 15 * s**7, torch.zeros_like(s))
    centres = torch.linspace(0, 1, config.n_radial, dtype=torch.float64)
    spacing = 1 / (config.n_radial - 1)
    return envelope[:, None] * torch.exp(-((s[:, None] - centres) ** 2) / (2 * spacing**2))


def linear(w, name, a):
    out = a @ w[f"{name}.weight"].T
    return out + w[f"{name}.bias"] if f"{name}.bias" in w else out


def mlp(w, name, a, activated_twice=False):
    out = linear(w, f"{name}.2", silu(linear(w, f"{name}.0", a)))
    return silu(out) if activated_twice else out


def silu(a):
    return a / (1 + torch.exp(-a)) / 0.6
