/* SPDX-License-Identifier: Apache-2.0 */

/* SIMD kernels that BLAS lacks, and CPU detection.
 *
 * Kernels take raw pointers and sizes in elements, do not know tensors, allocate nothing and never
 * read out of bounds. CONTRIBUTING.md, "Naming kernels", says what they are called. */
#pragma once

#include "swiftlet_isa.h"
#include "swiftlet_groupwise_kernels.h"
#include "swiftlet_pointwise_kernels.h"
#include "swiftlet_product_kernels.h"
#include "swiftlet_quantize_kernels.h"
#include "swiftlet_training_kernels.h"
#include "swiftlet_window_kernels.h"
#include "swiftlet_winograd_kernels.h"
