"""Types commands into an interactive zsh and checks the completed words. The shell uses the completion script in the
folder argv[1]."""
import os
import pty
import re
import select
import sys
import time

FOLDER, PROGRAM_FOLDER = sys.argv[1:]
KEYS = {"warploom tra\t": "warploom train",
        "warploom info --ver\t": "warploom info --verify",
        "warploom train --set outer.lea\t": "warploom train --set outer.learning_rate=",
        "warploom train --set task.family=sinu\t": "warploom train --set task.family=sinusoid",
        "warploom completion z\t": "warploom completion zsh"}
LISTED = {"warploom \t": ["meta-trains a learned optimizer", "selftest", "plot_training"],
          "warploom info --\t": ["--json", "--quiet", "--verify"]}


class Shell:
    def __init__(self):
        pid, self.end = pty.fork()
        if pid == 0:
            os.environ.update(TERM="dumb", PATH=f"{PROGRAM_FOLDER}:{os.environ['PATH']}", COLUMNS="200", HOME=os.getcwd())
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self.type("PS1='ready> '; unsetopt zle_bracketed_paste; fpath=($ZFOLDER $fpath)\n".replace("$ZFOLDER", FOLDER))
        self.type("stty columns 200; autoload -Uz compinit; compinit -u -D; echo lo''aded\n")
        self.wait("loaded")

    def type(self, text):
        os.write(self.end, text.encode())

    def wait(self, *words, seconds=60):
        """Reads the output of zsh until zsh has printed all of the given words."""
        shown, until = "", time.time() + seconds
        while time.time() < until:
            if select.select([self.end], [], [], 0.2)[0]:
                shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", os.read(self.end, 65536).decode(errors="replace"))
            if all(word in shown for word in words):
                return
        sys.exit(f"FAILED: zsh does not show all of {words!r}: {shown!r}")


shell = Shell()
for keys, line in KEYS.items():
    # Ctrl-A and `echo` turn the completed line into an echo command, which prints the line
    shell.type(keys + "\x01echo 'line '\n")
    shell.wait(f"line {line}")
for keys, words in LISTED.items():
    shell.type(keys)
    shell.wait(*words)
    shell.type("\x15")  # Ctrl-U
print("ok: zsh")
