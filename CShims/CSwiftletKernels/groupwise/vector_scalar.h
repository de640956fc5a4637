/* fp32 vectors in plain C; the including file defines SWL_TARGET. */
#pragma once
#include <string.h>

#define SWL_LANES 4
#define SWL_OPERATION static inline __attribute__((always_inline))

/* Operators on vectors of this kind work without any instructions for them. */
typedef float swl_vector __attribute__((vector_size(4 * SWL_LANES)));

SWL_OPERATION swl_vector set(float x) { return (swl_vector){x, x, x, x}; }
SWL_OPERATION swl_vector load(const float *p) {
  swl_vector v;
  memcpy(&v, p, sizeof v);
  return v;
}
SWL_OPERATION swl_vector multiply_add(swl_vector a, swl_vector b, swl_vector c) {
  return a * b + c;
}
/* Written so that NaN sums stay NaN. */
SWL_OPERATION swl_vector limit(swl_vector v, float low, float high) {
  for (int i = 0; i < SWL_LANES; i++) {
    const float raised = v[i] < low ? low : v[i];
    v[i] = raised > high ? high : raised;
  }
  return v;
}
SWL_OPERATION void store(float *p, swl_vector v, size_t left) {
  memcpy(p, &v, 4 * (left < SWL_LANES ? left : SWL_LANES));
}
