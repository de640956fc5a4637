/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "product.h"

#define SWL_TARGET
#define SWL_LANES 4

/* Compiler vector types: a register of SSE2 or NEON, or four numbers. */
typedef float swl_sums __attribute__((vector_size(4 * SWL_LANES)));
typedef swl_sums swl_weights;
typedef float swl_inputs;

SWL_INLINE swl_sums load(const void *p) {
  swl_sums vector;
  memcpy(&vector, p, sizeof vector);
  return vector;
}
SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return load((const float *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) { return load(p); }
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) { return *(const swl_inputs *)p; }
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  return sums + inputs * weights;
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) {
  for (int i = 0; i < SWL_LANES; i++) a[i] = a[i] > b[i] ? a[i] : b[i];
  return a;
}

/* Written so that NaN sums stay NaN. */
SWL_INLINE void finish(const swl_sums *sums, size_t vectors, const swl_product *product,
                       size_t column, uint8_t *out, const uint8_t *addend) {
  for (size_t i = 0; i < vectors * SWL_LANES && column + i < product->columns; i++) {
    float value = sums[i / SWL_LANES][i % SWL_LANES];
    if (addend) value += ((const float *)addend)[column + i];
    value = value < product->low ? product->low : value;
    ((float *)out)[column + i] = value > product->high ? product->high : value;
  }
}

#include "tile.inc"

SWL_UP_TO_4

const swl_product_kernel swl_product_f32__scalar = {
    SWL_TYPED_HEAD(f32, scalar), SWL_PRODUCT_F32, SWL_LANES, SWL_TABLE_4};
