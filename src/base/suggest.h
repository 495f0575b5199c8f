/* suggest.h - finds the known word that is nearest to a misspelt word. */
#ifndef WL_BASE_SUGGEST_H
#define WL_BASE_SUGGEST_H

/* Returns the candidate that has the least edit distance from `word`. If several candidates have
 * this distance, the first one is returned. An edit inserts, deletes or replaces one letter, or
 * exchanges two adjacent letters. Returns NULL if every candidate differs too much from `word`. */
const char *wl_suggest(const char *word, const char *const *candidates, int count);

#endif
