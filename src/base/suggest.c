/* suggest.c - computes the edit distance of two words. The exchange of two adjacent letters counts as one edit. The
 * method is called optimal string alignment.
 *
 *   d(i, j) = min( d(i-1, j) + 1, d(i, j-1) + 1, d(i-1, j-1) + [a_i != b_j],
 *                  d(i-2, j-2) + 1 if a_i = b_{j-1} and a_{i-1} = b_j ) */
#include "base/suggest.h"

#include <string.h>

enum { LONGEST = 63 };

static int least(int a, int b) { return a < b ? a : b; }

/* Returns the edit distance of two words, which have at most LONGEST characters. */
static int edit_distance(const char *a, int length_a, const char *b, int length_b) {
  /* the rows i-2, i-1 and i of the table d of distances; each new row replaces the oldest row */
  int rows[3][LONGEST + 1];
  for (int j = 0; j <= length_b; ++j) rows[0][j] = j;
  for (int i = 1; i <= length_a; ++i) {
    int *const row = rows[i % 3];
    const int *const above = rows[(i + 2) % 3];
    const int *const above2 = rows[(i + 1) % 3];
    row[0] = i;
    for (int j = 1; j <= length_b; ++j) {
      row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = least(row[j], above2[j - 2] + 1);
    }
  }
  return rows[length_a % 3][length_b];
}

const char *wl_suggest(const char *word, const char *const *candidates, int count) {
  const size_t length = strlen(word);
  if (length == 0 || length > LONGEST) return NULL;
  const char *nearest = NULL;
  /* a candidate is suggested only if its distance is less than this number */
  int nearest_distance = 2 + (int)length / 4;
  for (int i = 0; i < count; ++i) {
    const size_t candidate_length = strlen(candidates[i]);
    if (candidate_length > LONGEST) continue;
    const int distance = edit_distance(word, (int)length, candidates[i], (int)candidate_length);
    if (distance < nearest_distance && distance < (int)length) {
      nearest = candidates[i];
      nearest_distance = distance;
    }
  }
  return nearest;
}
