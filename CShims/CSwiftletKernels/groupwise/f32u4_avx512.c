/* SPDX-License-Identifier: Apache-2.0 */

#include "groupwise.h"

#if defined(__x86_64__)
#include "../lanes/avx512.h"

typedef __m512i swl_codes;

LANE_FN vf zero_points(const uint8_t *p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
LANE_FN swl_codes load_codes(const uint8_t *p) { return _mm512_loadu_si512(p); }
/* A permutation of sixteen numbers uses only the lowest four bits of its indices. */
LANE_FN vf origin(float zero) {
  return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) - vf_set(zero);
}
LANE_FN vf decoded(swl_codes codes, int i, vf numbers) {
  return _mm512_permutexvar_ps(_mm512_srli_epi32(codes, (unsigned)(4 * i)), numbers);
}

#include "tile_f32u4.inc"

SWL_TILE(1, 1)
SWL_TILE(1, 2)
SWL_TILE(1, 4)
SWL_TILE(2, 1)
SWL_TILE(2, 2)
SWL_TILE(2, 4)
SWL_TILE(4, 1)
SWL_TILE(4, 2)
SWL_TILE(6, 1)
SWL_TILE(6, 2)
SWL_TILE(8, 1)
SWL_TILE(8, 2)
SWL_TILE(10, 1)
SWL_TILE(10, 2)
SWL_TILE(12, 1)
SWL_TILE(12, 2)

#define ROWS_OF_FOUR(zeros, rows) \
  {tile_##zeros##_##rows##x1, tile_##zeros##_##rows##x2, tile_##zeros##_##rows##x4}
#define ROWS(zeros, rows) {tile_##zeros##_##rows##x1, tile_##zeros##_##rows##x2}
#define TILES(zeros)                                                                   \
  {ROWS_OF_FOUR(zeros, 1), ROWS_OF_FOUR(zeros, 2), {NULL}, ROWS(zeros, 4), {NULL},     \
   ROWS(zeros, 6), {NULL}, ROWS(zeros, 8), {NULL}, ROWS(zeros, 10), {NULL}, ROWS(zeros, 12)}

const swl_groupwise_kernel swl_groupwise_f32u4__avx512 = {
    SWL_TYPED_HEAD(f32u4, avx512), SWL_GROUPWISE_F32U4, LANES, {TILES(own), TILES(common)}};

#endif
