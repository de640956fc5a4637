/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SWL_TARGET __attribute__((target("avx2,fma,avxvnni")))

#include "u8s8_words256.inc"

SWL_INLINE swl_sums multiply_add(swl_sums sums, swl_inputs inputs, swl_weights weights) {
  return _mm256_dpbusd_avx_epi32(sums, inputs, weights);
}

#include "tile.inc"

SWL_UP_TO_6

const swl_product_kernel swl_product_u8s8__avxvnni = {
    SWL_TYPED_HEAD(u8s8, avxvnni), SWL_PRODUCT_U8S8, SWL_LANES, SWL_TABLE_6};

#endif
