#include <string.h>

#include "groupwise.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SWL_TARGET __attribute__((target("avx2,fma")))
#define SWL_LANES 8
#define SWL_OPERATION SWL_TARGET static inline __attribute__((always_inline))

typedef __m256 swl_vector;
typedef __m256i swl_codes;

SWL_OPERATION swl_vector set(float x) { return _mm256_set1_ps(x); }
SWL_OPERATION swl_vector load(const float *p) { return _mm256_loadu_ps(p); }
SWL_OPERATION swl_vector zero_points(const uint8_t *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
SWL_OPERATION swl_vector multiply_add(swl_vector a, swl_vector b, swl_vector c) {
  return _mm256_fmadd_ps(a, b, c);
}
/* Of two operands max and min return the second if either is NaN: NaN sums stay NaN. */
SWL_OPERATION swl_vector limit(swl_vector v, float low, float high) {
  return _mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), v));
}
SWL_OPERATION void store(float *p, swl_vector v, size_t left) {
  if (left >= SWL_LANES)
    _mm256_storeu_ps(p, v);
  else
    memcpy(p, &v, 4 * left);
}
SWL_OPERATION swl_codes load_codes(const uint8_t *p) {
  return _mm256_loadu_si256((const __m256i *)p);
}
SWL_OPERATION swl_vector origin(float zero) { return set(zero); }
SWL_OPERATION swl_vector decoded(swl_codes codes, int i, swl_vector zero) {
  const __m256i places = _mm256_srli_epi32(codes, 4 * i);
  return _mm256_cvtepi32_ps(_mm256_and_si256(places, _mm256_set1_epi32(15))) - zero;
}

#include "tile.inc"

SWL_TILE(1, 1)
SWL_TILE(1, 2)
SWL_TILE(2, 1)
SWL_TILE(2, 2)
SWL_TILE(4, 1)

#define TILES(zeros)                                                            \
  {{tile_##zeros##_1x1, tile_##zeros##_1x2}, {tile_##zeros##_2x1, tile_##zeros##_2x2}, {NULL}, \
   {tile_##zeros##_4x1}}

const swl_groupwise_kernel swl_groupwise_avx2 = {
    "f32u4 avx2", SWL_ISA_AVX2, SWL_LANES, {TILES(own), TILES(common)}};

#endif
