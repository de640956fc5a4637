/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* Two products of a byte and a weight of -64...64 fit 16 bits: 2 * 255 * 64 < 2^15, so vpmaddubsw does
 * not saturate. */
#define SWL_TARGET __attribute__((target("avx2,fma")))

#include "u8s8_words256.inc"

SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  const __m256i pairs = _mm256_maddubs_epi16(inputs, weights);
  return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#include "tile.inc"

SWL_UP_TO_4

const swl_product_kernel swl_product_u8s7__avx2 = {
    SWL_TYPED_HEAD(u8s7, avx2), SWL_PRODUCT_U8S7, SWL_LANES, SWL_TABLE_4};

#endif
