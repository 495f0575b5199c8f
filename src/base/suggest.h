/* suggest.h - the nearest known word to a misspelt one. */
#ifndef WL_BASE_SUGGEST_H
#define WL_BASE_SUGGEST_H

/* The candidate at the least edit distance (insertion, deletion, substitution, exchange of
 * neighbours), the first if several are equally near; NULL if none is near enough. */
const char *wl_suggest(const char *word, const char *const *candidates, int count);

#endif
