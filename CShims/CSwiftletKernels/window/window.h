/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_kernels.h"

#define SWL_WINDOW_KERNEL(variant, isa, feature)                                                   \
  void swl_depthwise_f32__##variant(const swl_window *, const swl_depthwise_f32 *, const void *,   \
                                    void *, size_t, size_t);                                       \
  void swl_depthwise_bf16__##variant(const swl_window *, const swl_depthwise_f32 *, const void *,  \
                                     void *, size_t, size_t);                                      \
  void swl_depthwise_u8_u8__##variant(const swl_window *, const swl_depthwise_u8 *, const void *,  \
                                      void *, size_t, size_t);                                     \
  void swl_depthwise_u8_f32__##variant(const swl_window *, const swl_depthwise_u8 *, const void *, \
                                       void *, size_t, size_t);                                    \
  void swl_max_pool_f32__##variant(const swl_pool *, const void *, void *, size_t, size_t);        \
  void swl_max_pool_bf16__##variant(const swl_pool *, const void *, void *, size_t, size_t);       \
  void swl_max_pool_u8__##variant(const swl_pool *, const void *, void *, size_t, size_t);         \
  void swl_average_pool_f32__##variant(const swl_pool *, bool, const void *, void *, size_t,       \
                                       size_t);                                                    \
  void swl_average_pool_bf16__##variant(const swl_pool *, bool, const void *, void *, size_t,      \
                                        size_t);                                                   \
  void swl_average_pool_u8__##variant(const swl_pool *, const swl_average_u8 *, const void *,      \
                                      void *, size_t, size_t);
#include "window.def"
#undef SWL_WINDOW_KERNEL

#define SWL_NAME(op, variant) SWL_JOIN(op, variant)
#define SWL_JOIN(op, variant) swl_##op##__##variant
