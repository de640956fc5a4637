/* SPDX-License-Identifier: Apache-2.0 */

#include <math.h>

#include "product.h"

#define SWL_TARGET
#define SWL_LANES 8

typedef struct {
  int32_t at[SWL_LANES];
} swl_sums;
typedef struct {
  int8_t at[SWL_LANES][4];
} swl_weights;
typedef struct {
  uint8_t at[4];
} swl_inputs;

SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return *(const swl_sums *)((const int32_t *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) { return *(const swl_weights *)p; }
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) { return *(const swl_inputs *)p; }
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  for (int i = 0; i < SWL_LANES; i++)
    for (int e = 0; e < 4; e++) sums.at[i] += inputs.at[e] * weights.at[i][e];
  return sums;
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) {
  for (int i = 0; i < SWL_LANES; i++) a.at[i] = a.at[i] > b.at[i] ? a.at[i] : b.at[i];
  return a;
}

SWL_INLINE void finish(const swl_sums *sums, size_t vectors, const swl_product *product,
                       size_t column, uint8_t *out, const uint8_t *addend) {
  for (size_t i = 0; i < vectors * SWL_LANES && column + i < product->columns; i++) {
    float value = (float)sums[i / SWL_LANES].at[i % SWL_LANES] * product->scale[column + i];
    value = fminf(fmaxf(value, product->low), product->high);
    if (product->to_bytes)
      out[column + i] = (uint8_t)((int32_t)nearbyintf(value) + product->zero_point);
    else
      ((float *)out)[column + i] = value;
  }
}

#include "tile.inc"

SWL_UP_TO_2

const swl_product_kernel swl_product_u8s8__scalar = {
    SWL_TYPED_HEAD(u8s8, scalar), SWL_PRODUCT_U8S8, SWL_LANES, SWL_TABLE_2};
