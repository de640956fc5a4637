/* SPDX-License-Identifier: Apache-2.0 */

/* The part of swiftlet.h that makes models smaller and judges them, which includes this file. */
#ifndef SWIFTLET_COMPRESS_H
#define SWIFTLET_COMPRESS_H

#include "swiftlet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Data and metrics of the program -------------------------------------------------- */

/* Callbacks of a call run one at a time, never two at once. `swiftlet_progress` and
 * `swiftlet_score` run on the thread that made the call, `swiftlet_fill` on that or another one.
 * What they get is valid until they return. A nonzero result stops the call, which returns
 * SWIFTLET_CANCELLED without writing anything; from then on nothing is called back. Callbacks may
 * call the library, and must return: not exit through an exception or longjmp(). */

/* Receives the progress of a long task. `remark` is NULL if there is none; `total` is 0 if
 * unknown. */
typedef int32_t (*swiftlet_progress)(const char *task, uint64_t completed, uint64_t total,
                                     const char *remark, void *context);

/* Writes the samples first ... first + count - 1 of the array at index `array` to `target`, packed,
 * one after the other. Samples are asked for in any order, again and again, and the same position
 * must always give the same sample. */
typedef int32_t (*swiftlet_fill)(size_t array, size_t first, size_t count, void *target,
                                 void *context);

/* The samples for one input of a model, along the first axis. */
typedef struct {
  /* The name of the input; NULL if it is the only one. */
  const char *input;
  swiftlet_dtype dtype;
  /* Nonzero if the array is the same for all samples: it has no axis for them. */
  int32_t is_fixed;
  size_t rank;
  const int64_t *shape;
  /* `byte_count` bytes of packed row-major elements, whose address is a multiple of the element
   * size; or NULL, with 0 bytes, if swiftlet_samples.fill writes the samples. */
  const void *data;
  size_t byte_count;
} swiftlet_array;

/* Samples of the program: arrays that the model takes as they are. Memory is read during the call
 * and never written. Zero is the default of every field but the first two. */
typedef struct {
  /* sizeof(swiftlet_samples). */
  size_t struct_size;
  /* The number of samples. */
  size_t count;
  const swiftlet_array *arrays;
  size_t array_count;
  /* The class of each sample, from 0; NULL if there are none. */
  const int64_t *labels;
  /* The number of classes; 0 for one more than the largest label. */
  size_t class_count;
  /* Writes the samples of arrays whose `data` is NULL. */
  swiftlet_fill fill;
  void *context;
  /* The name in messages and reports; NULL for "samples". */
  const char *name;
} swiftlet_samples;

/* An output of a model for a batch of samples: swiftlet_tensor with the output's name. */
typedef struct {
  const char *name;
  swiftlet_tensor value;
} swiftlet_output;

/* What a model answers to some samples. */
typedef struct {
  /* The size of the library's struct: later versions may append fields. */
  size_t struct_size;
  /* The number of samples, which is the first extent of the outputs. */
  size_t count;
  /* Their positions: in swiftlet_samples, or among the samples that are judged. */
  const int64_t *samples;
  /* Their classes; NULL if there are none. */
  const int64_t *labels;
  const swiftlet_output *outputs;
  size_t output_count;
  /* The original model's outputs, if swiftlet_metric.needs_original is set. */
  const swiftlet_output *original;
  size_t original_count;
} swiftlet_batch;

/* Writes a score for each sample of the batch to `scores`, which has room for them; or a single
 * one for the whole batch, and 1 to `count`, which is the number of samples before. NaN is the
 * worst score. */
typedef int32_t (*swiftlet_score)(const swiftlet_batch *batch, double *scores, size_t *count,
                                  void *context);

/* A metric of the program: the mean of the scores of all samples. */
typedef struct {
  /* sizeof(swiftlet_metric). */
  size_t struct_size;
  /* The name in messages and reports; NULL for "metric". */
  const char *name;
  swiftlet_score score;
  void *context;
  /* Nonzero if lower scores are better. */
  int32_t lower_is_better;
  /* Nonzero if scores are fractions from 0 to 1, so that drops are in percentage points. */
  int32_t is_fraction;
  /* Nonzero to get the original's outputs too. */
  int32_t needs_original;
} swiftlet_metric;

/* The size of an open dimension of a model's inputs, from 1 to 2^24. */
typedef struct {
  /* The dimension's symbol, or INPUT[AXIS]. */
  const char *name;
  int64_t size;
} swiftlet_extent;

/* ---- Compression --------------------------------------------------------------------- */

/* Zero is the default of every field but the first one. Text is as the command takes it as the
 * option of the same name, and NULL for the default. */
typedef struct {
  /* sizeof(swiftlet_compress_options). */
  size_t struct_size;
  int32_t threads;
  /* The seed of every random choice. */
  uint64_t seed;
  /* The first place to look for fashion-mnist; NULL for $SWIFTLET_DATA and Debian's package. */
  const char *data_directory;
  /* The largest acceptable loss, in the metric's unit; for accuracies, percentage points. The
   * recipe's factoring steps use the strongest ratio that stays within it. 0: any. */
  double max_drop;
  /* The same as a fraction of the original's score, instead of max_drop. */
  double max_relative_drop;
  /* The confidence level at which the loss must not be larger, such as 0.95; 0: the loss that was
   * measured counts. */
  double confidence;
  /* Instead of a recipe: technique names separated by commas, or the name of a preset. */
  const char *technique;
  const char *preset;
  /* Settings of the techniques, a YAML mapping such as "{ratio: 0.5}". */
  const char *settings;
  /* Bounds, absolute or as a percentage of the original's: "200k", "50%". */
  const char *target_size;
  const char *target_macs;
  const char *target_latency;
  /* Instead of `data`. */
  const swiftlet_samples *samples;
  /* What to judge on instead of a part of the data: text as for `data`, or samples. */
  const char *judge;
  const swiftlet_samples *judge_samples;
  /* The fraction of the data to train and calibrate with; the rest is judged on. */
  double split;
  /* How pictures become inputs, such as "imagenet". */
  const char *preprocess;
  /* How models are judged: the name of a metric, or one of the program's. */
  const char *metric;
  const swiftlet_metric *own_metric;
  /* The names of the outputs to judge by; 0 of them for all. */
  const char *const *outputs;
  size_t output_count;
  /* Where to write an HTML report. */
  const char *report;
  /* Nonzero to leave out pictures that cannot be decoded, whose number is `damaged` in the
   * report. */
  int32_t skip_damaged;
  /* The bytes for decoded pictures; 0 for 512 MiB. Of several calls at a time, the smallest number
   * counts. */
  uint64_t loader_memory;
  /* Sizes of open dimensions of the inputs; those that are not given follow from the data, or are
   * guessed. */
  const swiftlet_extent *extents;
  size_t extent_count;
} swiftlet_compress_options;

/* Makes a model smaller, measures the cost and the gain, and writes the result.
 *
 * `recipe` is YAML, the content of a file for `swiftlet compress --recipe`, or NULL if options name
 * techniques or a preset; `data` names data as `--data` does, such as "fashion-mnist" or
 * "images:DIR", or is NULL if options have samples, or if there are no data. A model is never
 * evaluated on its training images, so "fashion-mnist:test" is split. `options`, `progress` and
 * `report` may be NULL; `context` is passed on to `progress`. On success the file at `output` is
 * replaced as a whole; otherwise it is unchanged. `report` receives the JSON of `swiftlet compress
 * --json`; free it with swiftlet_string_free(). */
swiftlet_status swiftlet_compress(const char *model, const char *recipe, const char *data,
                                  const swiftlet_compress_options *options,
                                  swiftlet_progress progress, void *context, const char *output,
                                  char **report);

/* ---- Evaluation ---------------------------------------------------------------------- */

/* As in swiftlet_compress_options. */
typedef struct {
  /* sizeof(swiftlet_evaluate_options). */
  size_t struct_size;
  int32_t threads;
  swiftlet_precision precision;
  /* Samples at a time; 0 for 250. */
  int32_t batch;
  const char *data_directory;
  const swiftlet_samples *samples;
  const char *preprocess;
  const char *metric;
  const swiftlet_metric *own_metric;
  /* The path of the model to compare with, for metrics that need it. */
  const char *original;
  const char *const *outputs;
  size_t output_count;
  int32_t skip_damaged;
  uint64_t loader_memory;
  const swiftlet_extent *extents;
  size_t extent_count;
} swiftlet_evaluate_options;

/* Measures how good a model is. Arguments are those of swiftlet_compress(). `result` receives the
 * JSON of `swiftlet evaluate --json`; free it with swiftlet_string_free(). */
swiftlet_status swiftlet_evaluate(const char *model, const char *data,
                                  const swiftlet_evaluate_options *options,
                                  swiftlet_progress progress, void *context, char **result);

#ifdef __cplusplus
}
#endif

#endif
