/* SPDX-License-Identifier: Apache-2.0 */

/* Sixteen channels at a time; lanes/scalar.h documents the names. SWL_AVX512VNNI adds the dot
 * products of bytes, SWL_AVX512BF16 both them and the rounding to bf16. */
#pragma once
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bf16.h"

#pragma STDC FP_CONTRACT OFF

#define LANES 16
#define BYTE_LANES 64
#if defined(SWL_AVX512BF16)
#define SWL_AVX512VNNI 1
#define SWL_TARGET \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,fma")))
#elif defined(SWL_AVX512VNNI)
#define SWL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")))
#else
#define SWL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#endif
#define LANE_FN SWL_TARGET __attribute__((always_inline)) static inline

typedef __m512 vf;
typedef int32_t vi __attribute__((vector_size(64)));
typedef __m512i vb;
typedef __mmask16 vm;

LANE_FN vf vf_set(float x) { return _mm512_set1_ps(x); }
LANE_FN vi vi_set(int32_t x) { return (vi)_mm512_set1_epi32(x); }
LANE_FN __mmask16 first_lanes(size_t n) { return (__mmask16)((1u << n) - 1); }
LANE_FN vf vf_load(const float *p, size_t n) {
  return n >= LANES ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(first_lanes(n), p);
}
LANE_FN void vf_store(float *p, vf v, size_t n) {
  if (n >= LANES)
    _mm512_storeu_ps(p, v);
  else
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
}
LANE_FN vf vf_load_bf16(const uint16_t *p, size_t n) {
  return swl_from_bf16x16(n >= LANES ? _mm256_loadu_si256((const __m256i *)p)
                                     : _mm256_maskz_loadu_epi16(first_lanes(n), p));
}
LANE_FN void vf_store_bf16(uint16_t *p, vf v, size_t n) {
#if defined(SWL_AVX512BF16)
  const __m256i bf16 = (__m256i)_mm512_cvtneps_pbh(v);
#else
  const __m256i bf16 = swl_bf16x16(v);
#endif
  if (n >= LANES)
    _mm256_storeu_si256((__m256i *)p, bf16);
  else
    _mm256_mask_storeu_epi16(p, first_lanes(n), bf16);
}
LANE_FN vi vi_bf16(vf v) { return (vi)swl_bf16_lanes16(v); }
LANE_FN vi vi_load(const int32_t *p, size_t n) {
  return (vi)(n >= LANES ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi32(first_lanes(n), p));
}
LANE_FN __m128i load_bytes16(const void *p, size_t n) {
  return n >= 16 ? _mm_loadu_si128((const __m128i *)p) : _mm_maskz_loadu_epi8(first_lanes(n), p);
}
LANE_FN vi vi_load_u8(const uint8_t *p, size_t n) {
  return (vi)_mm512_cvtepu8_epi32(load_bytes16(p, n));
}
LANE_FN void vi_store_u8(uint8_t *p, vi v, size_t n) {
  if (n >= LANES)
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v));
  else
    _mm512_mask_cvtepi32_storeu_epi8(p, first_lanes(n), (__m512i)v);
}
LANE_FN vb vb_load(const uint8_t *p, size_t n) {
  return n >= BYTE_LANES ? _mm512_loadu_si512(p)
                         : _mm512_maskz_loadu_epi8(((__mmask64)1 << n) - 1, p);
}
LANE_FN void vb_store(uint8_t *p, vb v, size_t n) {
  if (n >= BYTE_LANES)
    _mm512_storeu_si512(p, v);
  else
    _mm512_mask_storeu_epi8(p, ((__mmask64)1 << n) - 1, v);
}
LANE_FN vb vb_max(vb a, vb b) { return _mm512_max_epu8(a, b); }

LANE_FN vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
LANE_FN vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
LANE_FN vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
LANE_FN vm vf_less(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
LANE_FN vm vf_unordered(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
LANE_FN vf vf_select(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }
LANE_FN vf vf_from(vi v) { return _mm512_cvtepi32_ps((__m512i)v); }
LANE_FN vi vi_round(vf v) { return (vi)_mm512_cvtps_epi32(v); }
LANE_FN vi vi_left(vi v, int n) { return v << n; }
LANE_FN vi vi_bits(vf v) { return (vi)v; }
LANE_FN vf vf_bits(vi i) { return (vf)i; }

#if defined(SWL_AVX512VNNI)
typedef __m512i vx4;
typedef __m512i vw4;

LANE_FN vx4 vx4_load(const uint8_t *a, const uint8_t *b, const uint8_t *c, const uint8_t *d,
                     size_t n) {
  /* A 4 x 16 transposition of bytes: of 4-byte groups between the quarters, then inside them. */
  __m512i rows = _mm512_castsi128_si512(load_bytes16(a, n));
  rows = _mm512_inserti32x4(rows, load_bytes16(b, n), 1);
  rows = _mm512_inserti32x4(rows, load_bytes16(c, n), 2);
  rows = _mm512_inserti32x4(rows, load_bytes16(d, n), 3);
  const __m512i groups = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i bytes = _mm512_broadcast_i32x4(
      _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(groups, rows), bytes);
}
LANE_FN vw4 vw4_load(const int8_t *a, const int8_t *b, const int8_t *c, const int8_t *d, size_t n) {
  return vx4_load((const uint8_t *)a, (const uint8_t *)b, (const uint8_t *)c, (const uint8_t *)d,
                  n);
}
LANE_FN vi vi_dot4(vi acc, vx4 x, vw4 w) {
  return (vi)_mm512_dpbusd_epi32((__m512i)acc, x, w);
}
#else
/* Pairs of taps as 16-bit numbers. */
typedef struct {
  __m512i ab, cd;
} vx4;
typedef vx4 vw4;

LANE_FN __m512i pair(vi low, vi high) {
  return (__m512i)((low & 0xffff) | (high << 16));
}
LANE_FN vx4 vx4_load(const uint8_t *a, const uint8_t *b, const uint8_t *c, const uint8_t *d,
                     size_t n) {
  return (vx4){(__m512i)(vi_load_u8(a, n) | vi_load_u8(b, n) << 16),
               (__m512i)(vi_load_u8(c, n) | vi_load_u8(d, n) << 16)};
}
LANE_FN vi load_s8(const int8_t *p, size_t n) {
  return (vi)_mm512_cvtepi8_epi32(load_bytes16(p, n));
}
LANE_FN vw4 vw4_load(const int8_t *a, const int8_t *b, const int8_t *c, const int8_t *d, size_t n) {
  return (vw4){pair(load_s8(a, n), load_s8(b, n)), pair(load_s8(c, n), load_s8(d, n))};
}
LANE_FN vi vi_dot4(vi acc, vx4 x, vw4 w) {
  vi ab = (vi)_mm512_madd_epi16(x.ab, w.ab), cd = (vi)_mm512_madd_epi16(x.cd, w.cd);
  return acc + ab + cd;
}
#endif

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
  const vf a = _mm512_unpacklo_ps(v[0], v[1]), b = _mm512_unpackhi_ps(v[0], v[1]);
  const vf c = _mm512_unpacklo_ps(v[2], v[3]), d = _mm512_unpackhi_ps(v[2], v[3]);
  v[0] = (vf)_mm512_unpacklo_pd((__m512d)a, (__m512d)c);
  v[1] = (vf)_mm512_unpackhi_pd((__m512d)a, (__m512d)c);
  v[2] = (vf)_mm512_unpacklo_pd((__m512d)b, (__m512d)d);
  v[3] = (vf)_mm512_unpackhi_pd((__m512d)b, (__m512d)d);
}
LANE_FN void vf_scatter4(const vf v[4], uint8_t *out, ptrdiff_t stride, size_t n, int r) {
  vf t[4] = {v[0], v[1], v[2], v[3]};
  transpose4(t);
#pragma clang loop unroll(full)
  for (size_t i = 0; i < 4; i++) {
    if (0 + i < n) store_first(out + (0 + (ptrdiff_t)i) * stride, _mm512_extractf32x4_ps(t[i], 0), r);
    if (4 + i < n) store_first(out + (4 + (ptrdiff_t)i) * stride, _mm512_extractf32x4_ps(t[i], 1), r);
    if (8 + i < n) store_first(out + (8 + (ptrdiff_t)i) * stride, _mm512_extractf32x4_ps(t[i], 2), r);
    if (12 + i < n) store_first(out + (12 + (ptrdiff_t)i) * stride, _mm512_extractf32x4_ps(t[i], 3), r);
  }
}
LANE_FN void vf_gather4(vf v[4], const uint8_t *in, ptrdiff_t stride, size_t n, int r) {
#pragma clang loop unroll(full)
  for (size_t i = 0; i < 4; i++) {
    v[i] = _mm512_setzero_ps();
    if (0 + i < n)
      v[i] = _mm512_insertf32x4(v[i], load_first(in + (0 + (ptrdiff_t)i) * stride, r), 0);
    if (4 + i < n)
      v[i] = _mm512_insertf32x4(v[i], load_first(in + (4 + (ptrdiff_t)i) * stride, r), 1);
    if (8 + i < n)
      v[i] = _mm512_insertf32x4(v[i], load_first(in + (8 + (ptrdiff_t)i) * stride, r), 2);
    if (12 + i < n)
      v[i] = _mm512_insertf32x4(v[i], load_first(in + (12 + (ptrdiff_t)i) * stride, r), 3);
  }
  transpose4(v);
}

LANE_FN vf vf_abs(vf a) { return _mm512_abs_ps(a); }
LANE_FN vf vf_copysign(vf a, vf b) {
  return _mm512_or_ps(_mm512_abs_ps(a), _mm512_and_ps(_mm512_set1_ps(-0.0f), b));
}
LANE_FN vf vf_square_rest(vf a, vf s) { return _mm512_fmsub_ps(a, a, s); }
LANE_FN vf vf_keep(vf v, size_t n, vf other) {
  return n >= LANES ? v : _mm512_mask_blend_ps(first_lanes(n), other, v);
}

typedef struct {
  __m512d low, high;
} vd;
LANE_FN vd vd_of(vf v) {
  return (vd){_mm512_cvtps_pd(_mm512_castps512_ps256(v)),
              _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))};
}
LANE_FN vd vd_zero(void) { return (vd){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
LANE_FN vd vd_add(vd s, vf v) {
  const vd d = vd_of(v);
  return (vd){s.low + d.low, s.high + d.high};
}
LANE_FN vd vd_add_square(vd s, vf v) {
  const vd d = vd_of(v);
  return (vd){_mm512_fmadd_pd(d.low, d.low, s.low), _mm512_fmadd_pd(d.high, d.high, s.high)};
}
LANE_FN double vd_total(vd s) { return _mm512_reduce_add_pd(s.low + s.high); }
LANE_FN vf vf_minus(vf v, double a) {
  const vd d = vd_of(v);
  const __m512d b = _mm512_set1_pd(a);
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(d.low - b)),
                            _mm512_cvtpd_ps(d.high - b), 1);
}
