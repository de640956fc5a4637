/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* Without VNNI: vpmaddubsw would saturate, so bytes are widened to 16 bits, those at even and odd
 * positions separately, and vpmaddwd adds exactly. */
#define SWL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define SWL_LANES 16

typedef __m512i swl_sums;
typedef struct {
  __m512i even, odd;
} swl_weights, swl_inputs;

SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return _mm512_loadu_si512((const int32_t *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) {
  const __m512i bytes = _mm512_loadu_si512(p);
  return (swl_weights){_mm512_srai_epi16(_mm512_slli_epi16(bytes, 8), 8),
                       _mm512_srai_epi16(bytes, 8)};
}
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) {
  const __m512i bytes = _mm512_set1_epi32(*(const int32_t *)p);
  return (swl_inputs){_mm512_and_si512(bytes, _mm512_set1_epi16(0xff)),
                      _mm512_srli_epi16(bytes, 8)};
}
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  sums = _mm512_add_epi32(sums, _mm512_madd_epi16(inputs.even, weights.even));
  return _mm512_add_epi32(sums, _mm512_madd_epi16(inputs.odd, weights.odd));
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) { return _mm512_max_epi32(a, b); }

#include "u8s8_finish512.inc"

#include "tile.inc"

SWL_UP_TO_8

const swl_product_kernel swl_product_u8s8__avx512 = {
    SWL_TYPED_HEAD(u8s8, avx512), SWL_PRODUCT_U8S8, SWL_LANES, SWL_TABLE_8};

#endif
