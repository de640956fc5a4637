/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_winograd_kernels.h"

#define SWL_WINOGRAD_KERNEL(variant, isa)                                                     \
  void swl_winograd_analyze__##variant(const swl_winograd *, const void *, void *, size_t,    \
                                       size_t);                                               \
  void swl_winograd_synthesize__##variant(const swl_winograd *, const swl_winograd_ending *,  \
                                          const void *, void *, size_t, size_t);             \
  void swl_winograd_weights__##variant(size_t, size_t, size_t, size_t, const float *, float *);
#include "winograd.def"
#undef SWL_WINOGRAD_KERNEL
