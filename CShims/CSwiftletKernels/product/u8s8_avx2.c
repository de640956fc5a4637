/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* vpmaddubsw would saturate, so bytes are widened to 16 bits, those at even and odd positions separately,
 * and vpmaddwd adds exactly. */
#define SWL_TARGET __attribute__((target("avx2,fma")))

#include "u8s8_sums256.inc"

typedef struct {
  __m256i even, odd;
} swl_weights, swl_inputs;

SWL_INLINE swl_weights load_weights(const uint8_t *p) {
  const __m256i bytes = _mm256_loadu_si256((const __m256i *)p);
  return (swl_weights){_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8),
                       _mm256_srai_epi16(bytes, 8)};
}
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) {
  const __m256i bytes = _mm256_set1_epi32(*(const int32_t *)p);
  return (swl_inputs){_mm256_and_si256(bytes, _mm256_set1_epi16(0xff)),
                      _mm256_srli_epi16(bytes, 8)};
}
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(inputs.even, weights.even));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(inputs.odd, weights.odd));
}

#include "tile.inc"

SWL_UP_TO_4

const swl_product_kernel swl_product_u8s8__avx2 = {
    SWL_TYPED_HEAD(u8s8, avx2), SWL_PRODUCT_U8S8, SWL_LANES, SWL_TABLE_4};

#endif
