/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

#if defined(__x86_64__)
#include "../lanes/bf16.h"

/* Without instructions for bf16: both halves of a word are converted to fp32, which is exact. */
#define SWL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define SWL_LANES 16

typedef __m512 swl_sums;
typedef struct {
  __m512 even, odd;
} swl_weights, swl_inputs;

SWL_INLINE swl_weights bf16_pairs_to_f32(__m512i words) {
  return (swl_weights){
      _mm512_castsi512_ps(_mm512_slli_epi32(words, 16)),
      _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32((int32_t)0xffff0000)))};
}
SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return _mm512_loadu_ps((const float *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) {
  return bf16_pairs_to_f32(_mm512_loadu_si512(p));
}
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) {
  return bf16_pairs_to_f32(_mm512_set1_epi32(*(const int32_t *)p));
}
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  sums = _mm512_fmadd_ps(inputs.even, weights.even, sums);
  return _mm512_fmadd_ps(inputs.odd, weights.odd, sums);
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) { return _mm512_max_ps(a, b); }
SWL_INLINE __m256i f32_to_bf16(__m512 v) { return swl_bf16x16(v); }
SWL_INLINE __m512i f32_to_bf16_pair(__m512 first, __m512 second) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(f32_to_bf16(first)), f32_to_bf16(second), 1);
}

#include "bf16_finish512.inc"

#include "tile.inc"

SWL_UP_TO_12

const swl_product_kernel swl_product_bf16__avx512 = {
    SWL_TYPED_HEAD(bf16, avx512), SWL_PRODUCT_BF16, SWL_LANES, SWL_TABLE_12};

#endif
