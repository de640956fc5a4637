/* SPDX-License-Identifier: Apache-2.0 */

#include "../lanes/bf16.h"
#include "product.h"

#define SWL_TARGET
#define SWL_LANES 8

typedef struct {
  float at[SWL_LANES];
} swl_sums;
typedef struct {
  uint16_t at[SWL_LANES][2];
} swl_weights;
typedef struct {
  uint16_t at[2];
} swl_inputs;

SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return *(const swl_sums *)((const float *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) { return *(const swl_weights *)p; }
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) { return *(const swl_inputs *)p; }
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  for (int i = 0; i < SWL_LANES; i++)
    for (int e = 0; e < 2; e++)
      sums.at[i] += swl_from_bf16(inputs.at[e]) * swl_from_bf16(weights.at[i][e]);
  return sums;
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) {
  for (int i = 0; i < SWL_LANES; i++) a.at[i] = a.at[i] > b.at[i] ? a.at[i] : b.at[i];
  return a;
}

/* Written so that NaN sums stay NaN. */
SWL_INLINE void finish(const swl_sums *sums, size_t vectors, const swl_product *product,
                       size_t column, uint8_t *out, const uint8_t *addend) {
  for (size_t i = 0; i < vectors * SWL_LANES && column + i < product->columns; i++) {
    float value = sums[i / SWL_LANES].at[i % SWL_LANES];
    if (addend)
      value += product->addend_bf16 ? swl_from_bf16(((const uint16_t *)addend)[column + i])
                                    : ((const float *)addend)[column + i];
    value = value < product->low ? product->low : value;
    value = value > product->high ? product->high : value;
    if (product->to_bf16)
      ((uint16_t *)out)[column + i] = swl_bf16(value);
    else
      ((float *)out)[column + i] = value;
  }
}

#include "tile.inc"

SWL_UP_TO_2

const swl_product_kernel swl_product_bf16__scalar = {
    SWL_TYPED_HEAD(bf16, scalar), SWL_PRODUCT_BF16, SWL_LANES, SWL_TABLE_2};
