/* suggest.h - finds the known word that is nearest to a misspelt word. */
#ifndef WL_BASE_SUGGEST_H
#define WL_BASE_SUGGEST_H

/* Returns the first of the candidates with the least edit distance. Edits are insertion, deletion, substitution and
 * exchange of neighbours. Returns NULL if no candidate is near enough. */
const char *wl_suggest(const char *word, const char *const *candidates, int count);

#endif
