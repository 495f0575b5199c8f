# This script writes the manual pages of Warploom. Usage: cmake -DPROGRAM=...
# -DCOMMANDS="train;eval" -DVERSION=... -DSOURCE=docs -DOUTPUT=folder -P make_man.cmake. The output
# of `train --help=man` describes the configuration keys. The script writes this description only to
# the page warploom.yaml(5), and all other pages refer to warploom.yaml(5).
set(marker ".SH CONFIGURATION\n")

# Sets the variable `page` to the text of a subcommand's manual page without the description of
# configuration keys, and the variable `keys` to this description.
function(read_page command)
  execute_process(COMMAND ${PROGRAM} ${command} --help=man OUTPUT_VARIABLE text RESULT_VARIABLE code)
  if(code)
    message(FATAL_ERROR "${PROGRAM} ${command} --help=man ended with ${code}")
  endif()
  string(FIND "${text}" "${marker}" at)
  set(page "${text}")
  set(keys "")
  if(at GREATER -1)
    string(LENGTH "${marker}" length)
    math(EXPR after "${at} + ${length}")
    string(SUBSTRING "${text}" 0 ${at} page)
    string(SUBSTRING "${text}" ${after} -1 keys)
    string(APPEND page "${marker}The keys of the configuration file are described in\n.BR warploom.yaml (5).\n")
  endif()
  set(page "${page}" PARENT_SCOPE)
  set(keys "${keys}" PARENT_SCOPE)
endfunction()

string(TIMESTAMP DATE "%Y-%m-%d" UTC) # the date of SOURCE_DATE_EPOCH if this environment variable is set
set(COMMAND_LIST "")
set(SEE_ALSO "")
foreach(command IN LISTS COMMANDS)
  read_page(${command})
  string(REPLACE " 1 \"\" \"" " 1 \"${DATE}\" \"" page "${page}")
  string(APPEND page ".SH EXIT STATUS\nThe exit codes are listed in\n.BR warploom (1).\n.SH SEE ALSO\n.BR warploom (1),\n.BR warploom.yaml (5)\n")
  file(WRITE ${OUTPUT}/warploom-${command}.1 "${page}")
  string(REGEX MATCH "warploom\\\\-${command} \\\\- ([^\n]*)" line "${page}")
  string(APPEND COMMAND_LIST ".TP\n.BR warploom\\-${command} (1)\n${CMAKE_MATCH_1}\n")
  string(APPEND SEE_ALSO ".BR warploom\\-${command} (1),\n")
  if(keys)
    set(KEYS "${keys}")
  endif()
endforeach()
configure_file(${SOURCE}/warploom.1.in ${OUTPUT}/warploom.1 @ONLY)
configure_file(${SOURCE}/warploom.yaml.5.in ${OUTPUT}/warploom.yaml.5 @ONLY)
