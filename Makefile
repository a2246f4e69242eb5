# 点名 · Dianming. `make run` and `make test` install and start everything they need.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
WEB_SCRIPT := $(BIN)/python -m backend.devstack.web npm --silent run

# Keep compiled modules even if the shell disables them, so that new processes start faster.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup web browser run dev test test-e2e screens redteam lint faults demo bench bench-face sample-faces clean-local

help: ## 显示本帮助 · show this help
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## 安装所需的一切 · install all missing dependencies
	@$(PYTHON) -m backend.devstack.bootstrap setup

web: setup ## 构建网页 · build the web apps, if their sources changed
	@$(BIN)/python -m backend.devstack.web

browser: setup
	@$(BIN)/python -m backend.devstack.browser

run: setup web ## 启动（PORT=8000；LAN=1 供手机访问），Ctrl-C 停止 · start; LAN=1 for phones; Ctrl-C stops
	@exec $(BIN)/python -m backend.devstack.supervisor

sample-faces: setup
	@$(BIN)/python -m backend.devstack.sample_faces

dev: setup ## 开发：代码一改就重新载入 · run with reload: API, worker, and Vite for the web apps
	@$(BIN)/python -m backend.devstack.web install
	@exec $(BIN)/python -m backend.devstack.supervisor --dev

# Without ARGS all tests run, so build first and show the progress; a test that needs the web apps builds them itself.
test: setup sample-faces $(if $(ARGS),,web browser) ## 运行测试（ARGS="tests/geo -k x"）· run the tests
	@exec $(BIN)/python -m backend.devstack.with_stack -- pytest -n 2 --dist loadgroup $(ARGS)

test-e2e: setup sample-faces web browser ## 浏览器测试（ARGS="-k shell"）· run only the tests in a browser
	@exec $(BIN)/python -m backend.devstack.with_stack -- pytest -n 2 --dist loadgroup tests/e2e $(ARGS)

screens: setup sample-faces web browser ## 更新 docs/screens 中的界面截图 · renew the pictures of the main screens
	@exec $(BIN)/python -m backend.devstack.with_stack -- env DIANMING_SCREENS=docs/screens pytest -q -m pictures tests/e2e $(ARGS)

faults: setup ## 故障演练（ARGS="--seed 7 --kills 200"）· long fault-injection run: kill processes, then check for lost data
	@exec $(BIN)/python -m backend.devstack.with_stack -- env DIANMING_FAULT_ROUNDS=100 pytest -n 2 --dist loadgroup tests/faults/test_interleavings.py
	@exec $(BIN)/python -m tests.faults $(ARGS)

redteam: setup sample-faces ## 攻击演练 · play every attack of tests/redteam and print whether its verdict held
	@exec $(BIN)/python -m backend.devstack.with_stack -- pytest -n 2 --dist loadgroup tests/redteam $(ARGS)

lint: setup ## 静态检查 · ruff, mypy strict, import-linter; vue-tsc, eslint, prettier, generated types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(WEB_SCRIPT) types:check
	$(WEB_SCRIPT) typecheck
	$(WEB_SCRIPT) lint
	$(WEB_SCRIPT) format:check

demo: setup sample-faces ## 演示一次完整点名 · run a full roll call, from launch to settlement
	@exec $(BIN)/python -m backend.devstack.supervisor --purpose demo -- $(BIN)/dianming demo $(ARGS)

bench: setup sample-faces ## 基准测试 · run the benchmarks on durable services of their own
	@exec $(BIN)/python -m backend.devstack.with_stack --purpose bench -- python -m bench $(ARGS)

bench-face: setup sample-faces ## 人脸基准测试 · run only the face benchmarks
	@exec $(BIN)/python -m bench face face-accuracy second-face liveness template-loss

clean-local: ## 删除本地数据（数据库、密钥、证据）· delete all local data
	@$(PYTHON) -m backend.devstack.clean
