/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_product_kernels.h"
#include "../kernel.h"

#define SWL_KERNEL(types, isa) extern const swl_product_kernel swl_product_##types##__##isa;
#include "product.def"
#undef SWL_KERNEL

/* For the pieces of a tile; the including file defines SWL_TARGET. */
#define SWL_INLINE SWL_TARGET static inline __attribute__((always_inline))

/* Tiles of one and two vectors for up to fourteen rows; counts without a tile use the
 * next larger one. */
#define SWL_TILES(tile, a, b, c, d, e, f, g, h, i, j, k, l, m, n)                               \
  {{tile(a, 1), tile(b, 1), tile(c, 1), tile(d, 1), tile(e, 1), tile(f, 1), tile(g, 1),          \
    tile(h, 1), tile(i, 1), tile(j, 1), tile(k, 1), tile(l, 1), tile(m, 1), tile(n, 1)},         \
   {tile(a, 2), tile(b, 2), tile(c, 2), tile(d, 2), tile(e, 2), tile(f, 2), tile(g, 2),          \
    tile(h, 2), tile(i, 2), tile(j, 2), tile(k, 2), tile(l, 2), tile(m, 2), tile(n, 2)}}

/* Tiles of up to three pooled pixels, by their rows. */
#define SWL_POOLED(tile, a, b, c) \
  {{tile(a, 1), tile(b, 1), tile(c, 1)}, {tile(a, 2), tile(b, 2), tile(c, 2)}}
