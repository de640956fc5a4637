/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_kernels.h"

#define SWL_LAYER_KERNEL(variant, isa)                                                            \
  void swl_add_f32__##variant(size_t, const float *, float *);                                    \
  float swl_sum_f32__##variant(size_t, const float *);                                            \
  void swl_relu_f32__##variant(size_t, float *);                                                  \
  void swl_relu_gradient_f32__##variant(size_t, const float *, float *);                          \
  void swl_max_pool2_f32__##variant(size_t, size_t, const float *, float *);                      \
  void swl_max_pool2_gradient_f32__##variant(size_t, size_t, const float *, const float *, float *);
#include "layers.def"
#undef SWL_LAYER_KERNEL
