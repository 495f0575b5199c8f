/* text.h - reads a text file and makes minibatches of sequences of characters. A character is a
 * byte.
 *
 * The vocabulary is the set of bytes that occur in the file, in ascending order. The first nine
 * tenths of the file are for training, and the last tenth is held out. The file is read once, and
 * all tasks of a process share the text. Only files of src/task include this header. */
#ifndef WL_TASK_TEXT_H
#define WL_TASK_TEXT_H

#include "task/task.h"

typedef struct wl_text {
  int64_t count;      /* number of characters of the text */
  int64_t training;   /* number of characters of the training split */
  int64_t vocabulary; /* number V of different characters in the text */
  uint8_t *tokens;    /* indices of the characters in the vocabulary [count] */
} wl_text;

typedef struct wl_text_source {
  const char *path;      /* path of the text file; valid only during the creation of the task */
  /* number B of sequences in a batch, and number T of characters in a sequence */
  int64_t batch, length;
  /* number of sequences in the fixed sample of an evaluation, as the user configured it */
  int64_t eval_samples;
  const wl_text *text;
} wl_text_source;

/* Expands to rows of a task family's options table. The rows declare the configuration keys of a text
 * source: `text`, `length`, `batch` and `eval_samples`. `type` is the struct into which the family
 * reads its keys. `member` is the member of this struct that has the
 * type wl_text_source. */
/* clang-format off */
#define WL_TEXT_OPTIONS(type, member)                                                             \
  {"text", WL_OPT_STRING, "/usr/share/common-licenses/GPL-3", NULL, 0, 0, "1",                    \
   "Path of the text file whose characters (bytes) the network learns. The last tenth of the text is held out.", \
   WL_SLOT(type, member.path), WL_KEY_PATH},                                                      \
  {"length", WL_OPT_INT, "32", NULL, 1, 1e5, "characters",                                        \
   "Number of characters in a sequence. The network predicts the character after each of these characters.", \
   WL_SLOT(type, member.length)},                                                                 \
  {"batch", WL_OPT_INT, "32", NULL, 1, 1e6, "1",                                                  \
   "Number of sequences in a minibatch. The sequences are drawn with replacement.", WL_SLOT(type, member.batch)}, \
  {"eval_samples", WL_OPT_INT, "256", NULL, 1, 1e9, "1",                                          \
   "Number of sequences on which evaluations measure the loss. It is rounded down to full batches.",    \
   WL_SLOT(type, member.eval_samples)}
/* clang-format on */

/* Opens the text of a source, whose keys the caller has read, and sets task->eval_batches. Returns
 * WL_ERR_NO_INPUT if there is no such file, and WL_ERR_PERMISSION if the user may not read it.
 * Returns WL_ERR_DATA if a split is too short for a sequence. */
wl_status wl_text_source_open(const wl_map *map, wl_task *task, wl_text_source *source);
void wl_text_source_close(wl_text_source *source);

/* Writes a batch of sequences. The character t of sequence b is tokens[b * T + t] if
 * `sequence_major` is true, and tokens[t * B + b] if it is false. `next` receives the following
 * character at the same index. The starts of the sequences are drawn with replacement, and they
 * depend only on the seed, the space (wl_space), the episode, the unit and the step. For
 * WL_FOR_EVAL_BATCH, the starts are the same in every episode. */
void wl_text_source_load(const wl_text_source *source, const wl_episode *episode,
                         const wl_batch *batch, bool sequence_major, int32_t *tokens,
                         int32_t *next);

#endif
