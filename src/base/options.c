/* options.c - reads a configuration: the functions parse the text, apply the overrides and validate
 * the result. */
#include "base/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/options_impl.h"

enum { LARGEST_FILE = 4 << 20 };

/* Parses the text to a tree and applies the overrides to the tree. */
static wl_status build_tree(wl_config *config, const char *text, const char *name,
                            const wl_override *overrides, int n_overrides, wl_node **root) {
  WL_TRY(wl_tree_parse(&config->pool, text, name, true, root));
  if (wl_node_is_null(*root)) (*root)->kind = WL_NODE_MAP;
  char found[160];
  if ((*root)->kind != WL_NODE_MAP)
    return wl_location_fail((*root)->location, "", "expected keys and values, got %s",
                         wl_node_describe(*root, found, sizeof found));
  (*root)->location.line = 0; /* errors about a missing top-level key do not contain a line number */
  for (int i = 0; i < n_overrides; ++i)
    if (overrides[i].kind == WL_OVERRIDE_ANY_HASH) config->any_hash = true;
    else WL_TRY(wl_tree_override(&config->pool, *root, &overrides[i]));
  return WL_OK;
}

wl_status wl_config_parse(const char *text, const char *source, const wl_section *sections,
                          const wl_override *overrides, int n_overrides, wl_config **out) {
  *out = NULL;
  wl_config *config = NULL;
  WL_TRY(WL_NEW(config, 1));
  config->sections = sections;
  const char *name = NULL;
  wl_node *root = NULL;
  wl_status status = wl_pool_text(&config->pool, source, strlen(source), &name);
  if (status == WL_OK) status = build_tree(config, text, name, overrides, n_overrides, &root);
  if (status == WL_OK) status = wl_config_validate(config, root, name);
  if (status != WL_OK) {
    wl_config_destroy(&config);
    return status;
  }
  *out = config;
  return WL_OK;
}

void wl_config_destroy(wl_config **config) {
  if (!*config) return;
  wl_pool_clear(&(*config)->pool);
  wl_free(*config);
  *config = NULL;
}

/* Reads an open file to its end. The caller frees *text with wl_free. */
static wl_status read_stream(FILE *file, const char *path, char **text) {
  struct stat info;
  if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode))
    return WL_FAIL(WL_ERR_NO_INPUT, "%s: this path is a directory; name a YAML configuration file", path);
  WL_TRY(WL_NEW(*text, LARGEST_FILE + 2));
  const size_t length = fread(*text, 1, LARGEST_FILE + 1, file);
  wl_status status = WL_OK;
  if (ferror(file)) status = WL_FAIL(WL_ERR_IO, "%s: the configuration cannot be read: %s", path, strerror(errno));
  else if (length > LARGEST_FILE)
    status = WL_FAIL(WL_ERR_CONFIG, "%s: the file is larger than 4 MiB; name a YAML configuration "
                                    "file", path);
  else if (strlen(*text) != length)
    status = WL_FAIL(WL_ERR_CONFIG, "%s: the file contains zero bytes; name a text file with a "
                                    "YAML configuration", path);
  if (status == WL_OK) return WL_OK;
  wl_free(*text);
  *text = NULL;
  return status;
}

wl_status wl_config_read(const char *path, const wl_section *sections, const wl_override *overrides,
                         int n_overrides, wl_config **out) {
  *out = NULL;
  FILE *const file = fopen(path, "r");
  if (!file) {
    const wl_status code = errno == EACCES || errno == EPERM ? WL_ERR_PERMISSION : WL_ERR_NO_INPUT;
    return WL_FAIL(code, "%s: cannot open the configuration: %s", path, strerror(errno));
  }
  char *text = NULL;
  wl_status status = read_stream(file, path, &text);
  fclose(file);
  if (status == WL_OK) status = wl_config_parse(text, path, sections, overrides, n_overrides, out);
  wl_free(text);
  return status;
}
