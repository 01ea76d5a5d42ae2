// The three loops over edges that inference spends its time on. See network.py beside this file for what they compute.
//
// Plain C++ without headers of torch, so that it compiles in about a second and works with any version. Rows are contiguous,
// channels innermost, so every inner loop is one the compiler vectorises. Integers are 32 bits wide. An edge of a batch has the
// number structure * n_edges + edge; `edge_stride` is n_edges, or 0 while all structures share one geometry.

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

constexpr int kNodes = 4;  // of the interpolation
constexpr int kLanes = 16;  // channels at a time; the number of channels is a multiple of it

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

inline Lanes load(const float *from) {
    Lanes lanes;
    std::memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

inline void store(float *to, const Lanes &lanes) { std::memcpy(to, &lanes, sizeof lanes); }

inline Lanes interpolated(const float *t, int64_t width, const float *w) {
    return load(t) * w[0] + load(t + width) * w[1] + load(t + 2 * width) * w[2] + load(t + 3 * width) * w[3];
}

// exp(x) to 1e-7: the compiler vectorises this, and unlike a library call it is the same everywhere.
inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : (x > 87.0f ? 87.0f : x);
    const float n = std::floor(x * 1.44269504f + 0.5f);
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    const float p = 1.0f + r * (1.0f + r * (0.5f + r * (1.6666667e-1f + r * (4.1666667e-2f + r * (8.3333333e-3f + r * 1.3888889e-3f)))));
    const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
    float scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

}  // namespace

extern "C" {

// Unit vectors from sender to receiver, and where to read the radial tables: first node and the weights of four (cubic).
void geometry(int64_t batch, int64_t n_sites, int64_t n_edges, const int32_t *receivers, const int32_t *senders,
              const float *host_vectors, const float *moved, float nodes_per_angstrom, int64_t last_node,
              float *unit, int32_t *node, float *weights) {
    for (int64_t b = 0; b < batch; ++b) {
        const float *r = moved + b * n_sites * 3;
        for (int64_t e = 0; e < n_edges; ++e) {
            const int64_t n = b * n_edges + e;
            const float *from = r + 3 * senders[e], *to = r + 3 * receivers[e], *host = host_vectors + 3 * e;
            const float x = host[0] + from[0] - to[0], y = host[1] + from[1] - to[1], z = host[2] + from[2] - to[2];
            const float square = x * x + y * y + z * z;
            const float d = std::sqrt(square < 1e-8f ? 1e-8f : square), inverse = -1.0f / d;
            unit[3 * n] = x * inverse;
            unit[3 * n + 1] = y * inverse;
            unit[3 * n + 2] = z * inverse;
            // Beyond the last node the functions are constant. Not-a-number goes to node 0 and on through its weights.
            const float at = d * nodes_per_angstrom;
            const float bounded = at < static_cast<float>(last_node) ? at : static_cast<float>(last_node);
            node[n] = bounded > 0.0f ? static_cast<int32_t>(bounded) : 0;
            const float t = at < static_cast<float>(last_node) ? at - static_cast<float>(node[n]) : d * 0.0f;
            float *w = weights + kNodes * n;
            w[0] = -t * (t - 1) * (t - 2) / 6;
            w[1] = (t + 1) * (t - 1) * (t - 2) / 2;
            w[2] = -(t + 1) * t * (t - 2) / 2;
            w[3] = (t + 1) * t * (t - 1) / 6;
        }
    }
}

// For the receivers in `rows` (structure * n_sites + site): sums over their edges of the scalar and the vector messages.
void messages(int64_t n_rows, const int32_t *rows, int64_t n_sites, const int32_t *first, const int32_t *senders,
              const int32_t *sender_rows, const int32_t *markers, const float *h, const float *gates, const float *table,
              const float *v, const float *unit, const int32_t *node, const float *weights, int64_t edge_stride,
              int64_t features, int64_t threads, float *sum_x, float *sum_v) {
    const int64_t F = features, W = 3 * features;
#pragma omp parallel for num_threads(static_cast<int>(threads)) if (threads > 1) schedule(static)
    for (int64_t row = 0; row < n_rows; ++row) {
        const int64_t receiver = rows[row], b = receiver / n_sites, site = receiver - b * n_sites;
        for (int64_t f = 0; f < F; f += kLanes) {
            Lanes sx = {}, vx = {}, vy = {}, vz = {};
            for (int64_t e = first[site]; e < first[site + 1]; ++e) {
                const int64_t sender = b * n_sites + senders[e], n = b * edge_stride + e;
                const float *hj = h + sender_rows[sender] * W + f;
                const float *g = gates + (3 * markers[sender] + markers[receiver]) * W + f;
                const float *t = table + node[n] * W + f, *w = weights + kNodes * n;
                const Lanes for_unit = load(hj + F) * load(g + F) * interpolated(t + F, W, w);
                sx += load(hj + 2 * F) * load(g + 2 * F) * interpolated(t + 2 * F, W, w);
                vx += for_unit * unit[3 * n];
                vy += for_unit * unit[3 * n + 1];
                vz += for_unit * unit[3 * n + 2];
                if (!v) continue;
                const float *vj = v + sender * W + f;
                const Lanes for_vectors = load(hj) * load(g) * interpolated(t, W, w);
                vx += for_vectors * load(vj);
                vy += for_vectors * load(vj + F);
                vz += for_vectors * load(vj + 2 * F);
            }
            store(sum_x + row * F + f, sx);
            store(sum_v + row * W + f, vx);
            store(sum_v + row * W + F + f, vy);
            store(sum_v + row * W + 2 * F + f, vz);
        }
    }
}

// For each edge: sender state times marker gate times radial function, [n_listed, features].
void edge_states(int64_t n_listed, const int32_t *listed, int64_t n_sites, int64_t n_edges, const int32_t *receivers,
                 const int32_t *senders, const int32_t *sender_rows, const int32_t *markers, const float *h,
                 const float *gates, const float *table, const int32_t *node, const float *weights,
                 int64_t edge_stride, int64_t features, int64_t threads, float *states) {
    const int64_t F = features;
#pragma omp parallel for num_threads(static_cast<int>(threads)) if (threads > 1) schedule(static)
    for (int64_t l = 0; l < n_listed; ++l) {
        const int64_t b = listed[l] / n_edges, e = listed[l] - b * n_edges, n = b * edge_stride + e;
        const int64_t sender = b * n_sites + senders[e], receiver = b * n_sites + receivers[e];
        const float *hj = h + sender_rows[sender] * F, *g = gates + (3 * markers[sender] + markers[receiver]) * F;
        const float *t = table + node[n] * F, *w = weights + kNodes * n;
        for (int64_t f = 0; f < F; f += kLanes)
            store(states + l * F + f, load(hj + f) * load(g + f) * interpolated(t + f, F, w));
    }
}

// For each edge: the last layer of the coordinate network on its hidden state [n_listed, features] before the activation.
void along_edges(int64_t n_listed, const float *hidden, const float *bias, const float *readout, float readout_bias,
                 int64_t features, int64_t threads, float *along) {
    const int64_t F = features;
#pragma omp parallel for num_threads(static_cast<int>(threads)) if (threads > 1) schedule(static)
    for (int64_t l = 0; l < n_listed; ++l) {
        const float *__restrict z = hidden + l * F;
        float sum = 0.0f;
        for (int64_t f = 0; f < F; ++f) {
            const float a = z[f] + bias[f];
            sum += readout[f] * a / (1.0f + exponential(-a));
        }
        along[l] = sum + readout_bias;
    }
}

// For each site: the sum over its edges of unit vector times what the coordinate network says, [batch, n_sites, 3].
void pulls(int64_t batch, int64_t n_sites, int64_t n_edges, const int32_t *first, const float *along, const float *unit,
           int64_t edge_stride, float *sums) {
    for (int64_t b = 0; b < batch; ++b)
        for (int64_t site = 0; site < n_sites; ++site) {
            float x = 0.0f, y = 0.0f, z = 0.0f;
            for (int64_t e = first[site]; e < first[site + 1]; ++e) {
                const float k = along[b * n_edges + e], *u = unit + 3 * (b * edge_stride + e);
                x += k * u[0];
                y += k * u[1];
                z += k * u[2];
            }
            float *out = sums + 3 * (b * n_sites + site);
            out[0] = x;
            out[1] = y;
            out[2] = z;
        }
}

// Vector activation [n_rows, 3, features]: the channel's vector where it agrees with the consensus [n_rows, 3], else their mean.
// It is added to `base`, which has the same shape, or is null for zero.
void activate(int64_t n_rows, const float *channels, const float *consensus, const float *base, int64_t features, float *out) {
    const int64_t F = features;
    const Lanes nothing = {};
    for (int64_t row = 0; row < n_rows; ++row) {
        const float *w = channels + 3 * F * row, *g = consensus + 3 * row;
        for (int64_t f = 0; f < F; f += kLanes) {
            const Lanes x = load(w + f), y = load(w + F + f), z = load(w + 2 * F + f);
            const auto keep = x * g[0] + y * g[1] + z * g[2] >= 0.0f;
            float *o = out + 3 * F * row + f;
            const float *v = base ? base + 3 * F * row + f : nullptr;
            store(o, (v ? load(v) : nothing) + (keep ? x : (x + g[0]) * 0.5f));
            store(o + F, (v ? load(v + F) : nothing) + (keep ? y : (y + g[1]) * 0.5f));
            store(o + 2 * F, (v ? load(v + 2 * F) : nothing) + (keep ? z : (z + g[2]) * 0.5f));
        }
    }
}

}  // extern "C"
