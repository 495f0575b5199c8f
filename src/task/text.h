/* text.h - reads a text file as characters (bytes), and makes minibatches of sequences.
 *
 * The vocabulary is the set of bytes that occur in the file, in ascending order. The first nine tenths of the file are
 * for training, and the last tenth is held out. The file is read once, and all tasks of a process share the text.
 * Private to src/task. */
#ifndef WL_TASK_TEXT_H
#define WL_TASK_TEXT_H

#include "task/task.h"

typedef struct wl_text {
  int64_t count;      /* number of characters */
  int64_t training;   /* number of characters of the training split */
  int64_t vocabulary; /* number V of different characters */
  uint8_t *tokens;    /* [count], 0 .. V - 1 */
} wl_text;

typedef struct wl_text_source {
  const char *path;      /* borrowed while the task is created */
  int64_t batch, length; /* number B of sequences, and number T of their characters */
  int64_t eval_samples;  /* configured number of sequences of the fixed sample */
  const wl_text *text;
} wl_text_source;

/* The rows of a text for the options table of a family. The family reads its keys into the struct `type`. This struct
 * has a member `member` of type wl_text_source. */
/* clang-format off */
#define WL_TEXT_OPTIONS(type, member)                                                             \
  {"text", WL_OPT_STRING, "/usr/share/common-licenses/GPL-3", NULL, 0, 0, "1",                    \
   "Text file. Its characters (bytes) are learned, and its last tenth is held out.",              \
   WL_SLOT(type, member.path), WL_KEY_PATH},                                                      \
  {"length", WL_OPT_INT, "32", NULL, 1, 1e5, "characters",                                        \
   "Number of characters of a sequence. The network predicts the character after each of them.",  \
   WL_SLOT(type, member.length)},                                                                 \
  {"batch", WL_OPT_INT, "32", NULL, 1, 1e6, "1",                                                  \
   "Number of sequences in a minibatch, drawn with replacement.", WL_SLOT(type, member.batch)},   \
  {"eval_samples", WL_OPT_INT, "256", NULL, 1, 1e9, "1",                                          \
   "Number of sequences of the fixed sample of evaluations, in whole batches.",                   \
   WL_SLOT(type, member.eval_samples)}
/* clang-format on */

/* Opens the text of a source after its keys are read, and sets task->eval_batches. Errors: WL_ERR_NO_INPUT (missing
 * file), WL_ERR_PERMISSION, WL_ERR_DATA (a split is too short for a sequence). */
wl_status wl_text_source_open(const wl_map *map, wl_task *task, wl_text_source *source);
void wl_text_source_close(wl_text_source *source);

/* Writes character t of sequence b to tokens[t * B + b], or with `sequence_major` to tokens[b * T + t]. Writes the next
 * character to the same index of `next`. The starts of sequences are drawn with replacement by (seed, space, episode,
 * unit, step). For WL_FOR_EVAL_BATCH, the starts are the same in every episode. */
void wl_text_source_load(const wl_text_source *source, const wl_episode *episode,
                         const wl_batch *batch, bool sequence_major, int32_t *tokens,
                         int32_t *next);

#endif
