#include "../include/swiftlet_winograd_kernels.h"

/* Rows of G, for the points 0, 1, -1, infinity and 0, 1, -1, 2, -2, infinity. */
static const double g2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
static const double g4[6][3] = {{1.0 / 4, 0, 0},
                                {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                {0, 0, 1}};

/* G w transposed(G), rounded once. */
void swl_winograd_weights(size_t m, size_t columns, size_t channels, const float *weights,
                          float *coefficients) {
  const double(*g)[3] = m == 2 ? g2 : g4;
  const size_t n = m + 2, count = columns * channels;
  for (size_t pair = 0; pair < count; pair++) {
    const float *w = weights + 9 * pair;
    double rows[6][3];
    for (size_t i = 0; i < n; i++)
      for (size_t x = 0; x < 3; x++)
        rows[i][x] = g[i][0] * w[x] + g[i][1] * w[3 + x] + g[i][2] * w[6 + x];
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < n; j++)
        coefficients[(i * n + j) * count + pair] =
            (float)(rows[i][0] * g[j][0] + rows[i][1] * g[j][1] + rows[i][2] * g[j][2]);
  }
}
