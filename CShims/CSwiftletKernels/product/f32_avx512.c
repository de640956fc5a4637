/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SWL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define SWL_LANES 16

typedef __m512 swl_sums, swl_weights, swl_inputs;

SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return _mm512_loadu_ps((const float *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) { return _mm512_loadu_ps(p); }
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) {
  return _mm512_set1_ps(*(const float *)p);
}
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  return _mm512_fmadd_ps(inputs, weights, sums);
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) { return _mm512_max_ps(a, b); }

/* max and min return the second operand if either is NaN: NaN sums stay NaN. */
SWL_INLINE void finish_vector(__m512 value, const swl_product *product, size_t first, uint8_t *out,
                              const uint8_t *addend) {
  const size_t left = product->columns - first;
  const __m512 low = _mm512_set1_ps(product->low), high = _mm512_set1_ps(product->high);
  /* Masked stores are slow, so whole vectors avoid them. */
  if (left >= SWL_LANES) {
    if (addend) value = _mm512_add_ps(value, _mm512_loadu_ps((const float *)addend + first));
    _mm512_storeu_ps((float *)out + first, _mm512_min_ps(high, _mm512_max_ps(low, value)));
    return;
  }
  const __mmask16 mask = (__mmask16)((1u << left) - 1);
  if (addend)
    value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, (const float *)addend + first));
  _mm512_mask_storeu_ps((float *)out + first, mask, _mm512_min_ps(high, _mm512_max_ps(low, value)));
}

#include "finish.inc"

#include "tile.inc"

SWL_UP_TO_14

const swl_product_kernel swl_product_f32__avx512 = {
    SWL_TYPED_HEAD(f32, avx512), SWL_PRODUCT_F32, SWL_LANES, SWL_TABLE_14};

#endif
