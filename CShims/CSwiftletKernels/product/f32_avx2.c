/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SWL_TARGET __attribute__((target("avx2,fma")))
#define SWL_LANES 8

typedef __m256 swl_sums, swl_weights, swl_inputs;

SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return _mm256_loadu_ps((const float *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) {
  return _mm256_loadu_ps((const float *)p);
}
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) {
  return _mm256_broadcast_ss((const float *)p);
}
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  return _mm256_fmadd_ps(inputs, weights, sums);
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) { return _mm256_max_ps(a, b); }

/* max and min return the second operand if either is NaN: NaN sums stay NaN. */
SWL_INLINE void finish_vector(__m256 value, const swl_product *product, size_t first, uint8_t *out,
                              const uint8_t *addend) {
  const size_t left = product->columns - first;
  const __m256 low = _mm256_set1_ps(product->low), high = _mm256_set1_ps(product->high);
  /* Masked stores are slow, so whole vectors avoid them. */
  if (left >= SWL_LANES) {
    if (addend) value = _mm256_add_ps(value, _mm256_loadu_ps((const float *)addend + first));
    _mm256_storeu_ps((float *)out + first, _mm256_min_ps(high, _mm256_max_ps(low, value)));
    return;
  }
  const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)left),
                                          _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  if (addend)
    value = _mm256_add_ps(value, _mm256_maskload_ps((const float *)addend + first, mask));
  value = _mm256_min_ps(high, _mm256_max_ps(low, value));
  _mm256_maskstore_ps((float *)out + first, mask, value);
}

#include "finish.inc"

#include "tile.inc"

SWL_UP_TO_6

const swl_product_kernel swl_product_f32__avx2 = {
    SWL_TYPED_HEAD(f32, avx2), SWL_PRODUCT_F32, SWL_LANES, SWL_TABLE_6};

#endif
