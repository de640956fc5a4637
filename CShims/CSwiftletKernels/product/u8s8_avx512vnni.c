/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SWL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define SWL_LANES 16

typedef __m512i swl_sums, swl_weights, swl_inputs;

SWL_INLINE swl_sums first_sums(const swl_product *product, size_t column) {
  return _mm512_loadu_si512((const int32_t *)product->bias + column);
}
SWL_INLINE swl_weights load_weights(const uint8_t *p) { return _mm512_loadu_si512(p); }
SWL_INLINE swl_inputs load_inputs(const uint8_t *p) {
  return _mm512_set1_epi32(*(const int32_t *)p);
}
SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  return _mm512_dpbusd_epi32(sums, inputs, weights);
}
SWL_INLINE swl_sums larger_sums(swl_sums a, swl_sums b) { return _mm512_max_epi32(a, b); }

#include "u8s8_finish512.inc"

#include "tile.inc"

SWL_UP_TO_14

const swl_product_kernel swl_product_u8s8__avx512vnni = {
    SWL_TYPED_HEAD(u8s8, avx512vnni), SWL_PRODUCT_U8S8, SWL_LANES, SWL_TABLE_14};

#endif
