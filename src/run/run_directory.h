/* run_directory.h - creates and locks the folder of a run, and writes the text files in this
 * folder. Only one training at a time can lock the folder.
 *
 *   RUN/lock            locked (flock) while a training runs; the file contains the name of this training
 *   RUN/config.yaml     the resolved configuration
 *   RUN/metrics.jsonl   one JSON object on one line for each meta-step
 *   RUN/checkpoints/    see checkpoint.h
 *   RUN/trajectory.h5   see trajectory.h
 *   RUN/previous-N/     an earlier run, moved by a new run in the same folder
 *
 * The functions are not collective: only rank 0 has a run directory. */
#ifndef WL_RUN_RUN_DIRECTORY_H
#define WL_RUN_RUN_DIRECTORY_H

#include <stdbool.h>

#include "base/status.h"

typedef struct wl_run_directory wl_run_directory;

/* Creates the folder and its parents and locks the folder. If `resume` is false, moves the files of
 * an earlier run to RUN/previous-N and never overwrites them. Returns WL_ERR_CANNOT_CREATE if
 * another training has locked the folder or if the folder cannot be created. Returns
 * WL_ERR_PERMISSION if the user may not write to the folder or its parent. */
wl_status wl_run_directory_open(const char *path, bool resume, wl_run_directory **out);
void wl_run_directory_close(wl_run_directory **directory); /* unlocks */

/* Writes the text file RUN/name atomically: after an interruption, the file is complete or
 * unchanged. */
wl_status wl_run_directory_write(wl_run_directory *directory, const char *name, const char *text);
/* Appends one line (without its newline) to RUN/metrics.jsonl. If the disk is full, the file is unchanged. */
wl_status wl_run_directory_append_metrics(wl_run_directory *directory, const char *line);
/* Removes incomplete lines and the lines after `meta_step` from RUN/metrics.jsonl. Call this before a run resumes. */
wl_status wl_run_directory_trim_metrics(wl_run_directory *directory, int64_t meta_step);

#endif
