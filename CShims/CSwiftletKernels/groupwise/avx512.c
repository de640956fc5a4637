#include "groupwise.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SWL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#define SWL_LANES 16
#define SWL_OPERATION SWL_TARGET static inline __attribute__((always_inline))

typedef __m512 swl_vector;
typedef __m512i swl_codes;

SWL_OPERATION swl_vector set(float x) { return _mm512_set1_ps(x); }
SWL_OPERATION swl_vector load(const float *p) { return _mm512_loadu_ps(p); }
SWL_OPERATION swl_vector zero_points(const uint8_t *p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
SWL_OPERATION swl_vector multiply_add(swl_vector a, swl_vector b, swl_vector c) {
  return _mm512_fmadd_ps(a, b, c);
}
/* Of two operands max and min return the second if either is NaN: NaN sums stay NaN. */
SWL_OPERATION swl_vector limit(swl_vector v, float low, float high) {
  return _mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), v));
}
SWL_OPERATION void store(float *p, swl_vector v, size_t left) {
  if (left >= SWL_LANES)
    _mm512_storeu_ps(p, v);
  else
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << left) - 1), v);
}
SWL_OPERATION swl_codes load_codes(const uint8_t *p) { return _mm512_loadu_si512(p); }
/* A permutation of sixteen numbers sees the lowest four bits of its indices alone. */
SWL_OPERATION swl_vector origin(float zero) {
  return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) - set(zero);
}
SWL_OPERATION swl_vector decoded(swl_codes codes, int i, swl_vector numbers) {
  return _mm512_permutexvar_ps(_mm512_srli_epi32(codes, (unsigned)(4 * i)), numbers);
}

#include "tile.inc"

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

const swl_groupwise_kernel swl_groupwise_avx512 = {
    "f32u4 avx512", SWL_ISA_AVX512, SWL_LANES, {TILES(own), TILES(common)}};

#endif
