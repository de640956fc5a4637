/* SPDX-License-Identifier: Apache-2.0 */

/* Eight channels at a time; lanes/scalar.h documents the names. */
#pragma once
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bf16.h"

#pragma STDC FP_CONTRACT OFF

#define LANES 8
#define BYTE_LANES 32
#define SWL_TARGET __attribute__((target("avx2,fma")))
#define LANE_FN SWL_TARGET __attribute__((always_inline)) static inline

typedef __m256 vf;
typedef int32_t vi __attribute__((vector_size(32)));
typedef __m256i vb;
typedef __m256 vm;
/* Pairs of taps as 16-bit numbers. */
typedef struct {
  __m256i ab, cd;
} vx4;
typedef vx4 vw4;

LANE_FN vf vf_set(float x) { return _mm256_set1_ps(x); }
LANE_FN vi vi_set(int32_t x) { return (vi)_mm256_set1_epi32(x); }
LANE_FN __m256i first_lanes(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
LANE_FN vf vf_load(const float *p, size_t n) {
  return n >= LANES ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_lanes(n));
}
LANE_FN void vf_store(float *p, vf v, size_t n) {
  if (n >= LANES)
    _mm256_storeu_ps(p, v);
  else
    _mm256_maskstore_ps(p, first_lanes(n), v);
}
LANE_FN vf vf_load_bf16(const uint16_t *p, size_t n) {
  if (n >= LANES) return swl_from_bf16x8(_mm_loadu_si128((const __m128i *)p));
  __m128i few = _mm_setzero_si128();
  memcpy(&few, p, 2 * n);
  return swl_from_bf16x8(few);
}
LANE_FN void vf_store_bf16(uint16_t *p, vf v, size_t n) {
  const __m128i bf16 = swl_bf16x8(v);
  memcpy(p, &bf16, n >= LANES ? 16 : 2 * n);
}
LANE_FN vi vi_bf16(vf v) { return (vi)swl_bf16_lanes8(v); }
LANE_FN vi vi_load(const int32_t *p, size_t n) {
  return (vi)(n >= LANES ? _mm256_loadu_si256((const __m256i *)p)
                         : _mm256_maskload_epi32(p, first_lanes(n)));
}
LANE_FN __m128i load_bytes8(const void *p, size_t n) {
  if (n >= 8) return _mm_loadl_epi64((const __m128i *)p);
  uint64_t bytes = 0;
  memcpy(&bytes, p, n);
  return _mm_cvtsi64_si128((int64_t)bytes);
}
LANE_FN vi vi_load_u8(const uint8_t *p, size_t n) {
  return (vi)_mm256_cvtepu8_epi32(load_bytes8(p, n));
}
LANE_FN void vi_store_u8(uint8_t *p, vi v, size_t n) {
  __m256i low = _mm256_and_si256((__m256i)v, _mm256_set1_epi32(255));
  __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  __m128i bytes = _mm_packus_epi16(words, words);
  if (n >= LANES) {
    _mm_storel_epi64((__m128i *)p, bytes);
  } else {
    uint64_t all = (uint64_t)_mm_cvtsi128_si64(bytes);
    memcpy(p, &all, n);
  }
}
LANE_FN vb vb_load(const uint8_t *p, size_t n) {
  if (n >= BYTE_LANES) return _mm256_loadu_si256((const __m256i *)p);
  vb v = _mm256_setzero_si256();
  memcpy(&v, p, n);
  return v;
}
LANE_FN void vb_store(uint8_t *p, vb v, size_t n) {
  if (n >= BYTE_LANES)
    _mm256_storeu_si256((__m256i *)p, v);
  else
    memcpy(p, &v, n);
}
LANE_FN vb vb_max(vb a, vb b) { return _mm256_max_epu8(a, b); }

LANE_FN vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
LANE_FN vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
LANE_FN vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
LANE_FN vm vf_less(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
LANE_FN vm vf_unordered(vf a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
LANE_FN vf vf_select(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }
LANE_FN vf vf_from(vi v) { return _mm256_cvtepi32_ps((__m256i)v); }
LANE_FN vi vi_round(vf v) { return (vi)_mm256_cvtps_epi32(v); }
LANE_FN vi vi_left(vi v, int n) { return v << n; }
LANE_FN vi vi_bits(vf v) { return (vi)v; }
LANE_FN vf vf_bits(vi i) { return (vf)i; }

LANE_FN vx4 vx4_load(const uint8_t *a, const uint8_t *b, const uint8_t *c, const uint8_t *d,
                     size_t n) {
  __m128i ab = _mm_unpacklo_epi8(load_bytes8(a, n), load_bytes8(b, n));
  __m128i cd = _mm_unpacklo_epi8(load_bytes8(c, n), load_bytes8(d, n));
  return (vx4){_mm256_cvtepu8_epi16(ab), _mm256_cvtepu8_epi16(cd)};
}
LANE_FN vw4 vw4_load(const int8_t *a, const int8_t *b, const int8_t *c, const int8_t *d, size_t n) {
  __m128i ab = _mm_unpacklo_epi8(load_bytes8(a, n), load_bytes8(b, n));
  __m128i cd = _mm_unpacklo_epi8(load_bytes8(c, n), load_bytes8(d, n));
  return (vw4){_mm256_cvtepi8_epi16(ab), _mm256_cvtepi8_epi16(cd)};
}
LANE_FN vi vi_dot4(vi acc, vx4 x, vw4 w) {
  vi ab = (vi)_mm256_madd_epi16(x.ab, w.ab), cd = (vi)_mm256_madd_epi16(x.cd, w.cd);
  return acc + ab + cd;
}

LANE_FN void store_first(uint8_t *p, __m128 v, int r) {
  if (r == 4) {
    _mm_storeu_ps((float *)p, v);
    return;
  }
  if (r >= 2) _mm_storel_pi((__m64 *)p, v);
  if (r == 1) _mm_store_ss((float *)p, v);
  if (r == 3) _mm_store_ss((float *)p + 2, _mm_movehl_ps(v, v));
}
LANE_FN __m128 load_first(const uint8_t *p, int r) {
  if (r == 4) return _mm_loadu_ps((const float *)p);
  if (r == 1) return _mm_load_ss((const float *)p);
  __m128 low = _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)p));
  return r == 2 ? low : _mm_movelh_ps(low, _mm_load_ss((const float *)p + 2));
}
/* A 4 x 4 transposition inside each 128-bit lane. */
LANE_FN void transpose4(vf v[4]) {
  const vf a = _mm256_unpacklo_ps(v[0], v[1]), b = _mm256_unpackhi_ps(v[0], v[1]);
  const vf c = _mm256_unpacklo_ps(v[2], v[3]), d = _mm256_unpackhi_ps(v[2], v[3]);
  v[0] = (vf)_mm256_unpacklo_pd((__m256d)a, (__m256d)c);
  v[1] = (vf)_mm256_unpackhi_pd((__m256d)a, (__m256d)c);
  v[2] = (vf)_mm256_unpacklo_pd((__m256d)b, (__m256d)d);
  v[3] = (vf)_mm256_unpackhi_pd((__m256d)b, (__m256d)d);
}
LANE_FN void vf_scatter4(const vf v[4], uint8_t *out, ptrdiff_t stride, size_t n, int r) {
  vf t[4] = {v[0], v[1], v[2], v[3]};
  transpose4(t);
#pragma clang loop unroll(full)
  for (size_t i = 0; i < 4; i++) {
    if (0 + i < n) store_first(out + (0 + (ptrdiff_t)i) * stride, _mm256_extractf128_ps(t[i], 0), r);
    if (4 + i < n) store_first(out + (4 + (ptrdiff_t)i) * stride, _mm256_extractf128_ps(t[i], 1), r);
  }
}
LANE_FN void vf_gather4(vf v[4], const uint8_t *in, ptrdiff_t stride, size_t n, int r) {
#pragma clang loop unroll(full)
  for (size_t i = 0; i < 4; i++) {
    v[i] = _mm256_setzero_ps();
    if (0 + i < n)
      v[i] = _mm256_insertf128_ps(v[i], load_first(in + (0 + (ptrdiff_t)i) * stride, r), 0);
    if (4 + i < n)
      v[i] = _mm256_insertf128_ps(v[i], load_first(in + (4 + (ptrdiff_t)i) * stride, r), 1);
  }
  transpose4(v);
}

LANE_FN vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
LANE_FN vf vf_copysign(vf a, vf b) {
  return _mm256_or_ps(vf_abs(a), _mm256_and_ps(_mm256_set1_ps(-0.0f), b));
}
LANE_FN vf vf_square_rest(vf a, vf s) { return _mm256_fmsub_ps(a, a, s); }
LANE_FN vf vf_keep(vf v, size_t n, vf other) {
  return n >= LANES ? v : _mm256_blendv_ps(other, v, (vf)first_lanes(n));
}

typedef struct {
  __m256d low, high;
} vd;
LANE_FN vd vd_of(vf v) {
  return (vd){_mm256_cvtps_pd(_mm256_castps256_ps128(v)),
              _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))};
}
LANE_FN vd vd_zero(void) { return (vd){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
LANE_FN vd vd_add(vd s, vf v) {
  const vd d = vd_of(v);
  return (vd){s.low + d.low, s.high + d.high};
}
LANE_FN vd vd_add_square(vd s, vf v) {
  const vd d = vd_of(v);
  return (vd){_mm256_fmadd_pd(d.low, d.low, s.low), _mm256_fmadd_pd(d.high, d.high, s.high)};
}
LANE_FN double vd_total(vd s) {
  const __m256d t = s.low + s.high;
  return (t[0] + t[1]) + (t[2] + t[3]);
}
LANE_FN vf vf_minus(vf v, double a) {
  const vd d = vd_of(v);
  const __m256d b = _mm256_set1_pd(a);
  return _mm256_set_m128(_mm256_cvtpd_ps(d.high - b), _mm256_cvtpd_ps(d.low - b));
}
