/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

#if defined(__x86_64__)
#include "../lanes/bf16.h"

#define SWL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define SWL_LANES 16

typedef __m512 swl_sums;
typedef __m512bh swl_weights, swl_inputs;

SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return _mm512_loadu_ps((const float *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) {
  return (__m512bh)_mm512_loadu_si512(p);
}
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) {
  return (__m512bh)_mm512_set1_epi32(*(const int32_t *)p);
}
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  return _mm512_dpbf16_ps(sums, inputs, weights);
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) { return _mm512_max_ps(a, b); }
SWL_INLINE __m256i f32_to_bf16(__m512 v) { return (__m256i)_mm512_cvtneps_pbh(v); }
SWL_INLINE __m512i f32_to_bf16_pair(__m512 first, __m512 second) {
  return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}

#include "bf16_finish512.inc"

#include "tile.inc"

SWL_UP_TO_14

const swl_product_kernel swl_product_bf16__avx512bf16 = {
    SWL_TYPED_HEAD(bf16, avx512bf16), SWL_PRODUCT_BF16, SWL_LANES, SWL_TABLE_14};

#endif
