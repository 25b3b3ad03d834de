# make demo    everything on this PC: manager, ledger, this PC's agent, three simulated PCs   (ARGS='--for 60')
# make test    every test that needs no root and no further system package                    (ARGS='-k name')
# make lab     what needs root and more of the system: installs it, skips nothing
# make check   style, types, imports, the length of modules
# make package dist/securepc-{agent,tray}_….deb: for Debian 12, all that they need inside
# make bench   a line a figure: NAME VALUE UNIT                                               (NAME=verify)
# make peers   the ledger side by side with immudb, Tessera and PostgreSQL (needs Go)                (ARGS=immudb)
# make soak    what takes longer than anybody waits for
# make lock    refresh requirements/*.txt from pyproject.toml (needs uv)
.PHONY: demo test lab check package bench peers soak lock help clean
ARGS =
NAME =
BIN := .venv/bin

help:
	@sed -n 's/^# //p' Makefile

demo:
	@tools/venv manager
	@exec $(BIN)/securepc demo $(ARGS)

test:
	@command -v openssl >/dev/null || { echo "error: the tests need openssl / openssl が必要です (Debian: apt install openssl)" >&2; exit 2; }
	@tools/venv dev
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

lab:
	@tools/lab
	@tools/venv lab
	@tools/native
	@tools/lab-tests $(ARGS)

soak:
	@tools/lab
	@tools/venv lab
	@tools/native
	$(BIN)/python -m pytest --soak $(ARGS)

check:
	@tools/venv dev
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

bench:
	@tools/venv dev
	@tools/native || true
	@$(BIN)/python -m benchmarks $(NAME)

peers:
	@tools/venv dev
	@$(BIN)/python -m benchmarks.peers $(ARGS)

package:
	@tools/venv agent
	@$(BIN)/python tools/package
	@$(BIN)/python tools/package-tray

LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header --upgrade pyproject.toml
lock:
	$(LOCK) --extra manager --extra tray --extra node --extra dev --extra lab -o requirements/lab.txt
	$(LOCK) --extra manager --extra dev -c requirements/lab.txt -o requirements/dev.txt
	$(LOCK) --extra manager -c requirements/lab.txt -o requirements/manager.txt
	$(LOCK) --extra witness -c requirements/lab.txt -o requirements/witness.txt
	$(LOCK) --extra node -c requirements/lab.txt -o requirements/node.txt
	$(LOCK) --extra tray -c requirements/lab.txt -o requirements/tray.txt
	$(LOCK) -c requirements/lab.txt -o requirements/agent.txt

clean:
	rm -rf .venv build dist src/*.egg-info
