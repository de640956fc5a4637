/* fp32 vectors in AVX2; the including file defines SWL_TARGET. */
#pragma once
#include <immintrin.h>
#include <string.h>

#define SWL_LANES 8
#define SWL_OPERATION SWL_TARGET static inline __attribute__((always_inline))

typedef __m256 swl_vector;

SWL_OPERATION swl_vector set(float x) { return _mm256_set1_ps(x); }
SWL_OPERATION swl_vector load(const float *p) { return _mm256_loadu_ps(p); }
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
