/* suggest.h - finds the known word that is nearest to a misspelt word. */
#ifndef WL_BASE_SUGGEST_H
#define WL_BASE_SUGGEST_H

/* Returns the candidate at the least edit distance (insertion, deletion, substitution, exchange of neighbours), the
 * first candidate if several are equally near; NULL if no candidate is near enough. */
const char *wl_suggest(const char *word, const char *const *candidates, int count);

#endif
