"""Errors that stop a make target on a developer's machine. Each message says what to do."""

from typing import ClassVar

from backend.core.errors import DomainError


class DevstackError(DomainError):
    """Base of all errors of the development stack. Printed on the terminal in both languages."""

    code: ClassVar[str] = "local_refusal"
    status: ClassVar[int] = 503

    def terminal_text(self) -> str:
        """Return the code and both sentences, one per line."""
        return f"✗ [{self.code}]\n  {self.sentence('zh')}\n  {self.sentence('en')}"


class PackagesMissing(DevstackError):
    code = "packages_missing"
    zh = "缺少系统软件包，且当前用户无权安装。请由管理员执行：{command}，然后重新运行本命令。"
    en = "System packages are missing and this user cannot install them. Run: {command} — then try again."


class PackagesNotInstalled(DevstackError):
    code = "packages_not_installed"
    zh = "apt-get 未能安装：{packages}。请查看上面的输出，检查网络和软件源后执行：{command}"
    en = "apt-get could not install {packages}. Read its output above, check the network and the package sources, then run: {command}"


class UnknownSystem(DevstackError):
    code = "unknown_system"
    zh = "本机没有 apt-get。请自行安装：{packages}，然后重新运行本命令。"
    en = "This machine has no apt-get. Install these packages yourself, then try again: {packages}"


class NoSuitablePython(DevstackError):
    code = "no_suitable_python"
    zh = "需要 Python 3.11、3.12 或 3.13（当前为 {found}）。请安装后用 make PYTHON=python3.11 重试。"
    en = "Python 3.11, 3.12 or 3.13 is required (found {found}). Install one and run: make PYTHON=python3.11"


class EnvironmentNotMade(DevstackError):
    code = "environment_not_made"
    zh = "创建 Python 环境失败（{step}）。请查看上面的输出，检查网络后重新执行 make setup。"
    en = "Creating the Python environment failed ({step}). Read the output above, check the network, run make setup again."


class PostgresNotFound(DevstackError):
    code = "postgres_not_found"
    zh = "没有找到带 PostGIS 的 PostgreSQL {wanted}。请执行 make setup 安装。"
    en = "No PostgreSQL {wanted} with PostGIS was found. Run make setup to install it."


class RedisNotFound(DevstackError):
    code = "redis_not_found"
    zh = "没有找到 redis-server。请执行 make setup 安装。"
    en = "redis-server was not found. Run make setup to install it."


class ServiceDidNotStart(DevstackError):
    code = "service_did_not_start"
    zh = "{service} 未能启动，请查看日志 {log}。最后一行：{last}。数据可丢弃时，可执行 make clean-local 后重试。"
    en = "{service} did not start; see {log}. Last line: {last}. If you do not need its data, run make clean-local and try again."


class DataOfAnotherUser(DevstackError):
    code = "data_of_another_user"
    zh = "{path} 属于用户 {owner}。请以上次启动时的用户运行，或由该用户执行 make clean-local。"
    en = "{path} belongs to {owner}. Run as the user who started it before, or have that user run make clean-local."


class UnsafeDirectory(DevstackError):
    code = "unsafe_directory"
    zh = "目录 {path} 不是本程序建立的，不能放置套接字。请删除它后重试。"
    en = "{path} was not created by this program, so it is not safe for sockets. Remove it and try again."


class NoUnprivilegedUser(DevstackError):
    code = "no_unprivileged_user"
    zh = "数据库不能以 root 运行，且无法创建系统用户。请执行：useradd --system dianming，然后重试。"
    en = "PostgreSQL does not run as root and no system user could be created. Run: useradd --system dianming, then try again."


class StillInUse(DevstackError):
    code = "still_in_use"
    zh = "{path} 中的服务正被另一个命令使用。请先停止 make run 或 make test，再重试。"
    en = "The services in {path} are in use by another command. Stop make run or make test first, then try again."


class PortBusy(DevstackError):
    code = "port_busy"
    zh = "端口 {port} 已被占用。请关闭占用它的程序，或换一个端口：PORT={free} make run"
    en = "Port {port} is in use. Stop the program that uses it, or choose another port: PORT={free} make run"


class BadPort(DevstackError):
    code = "bad_port"
    zh = "PORT={value} 不是 1–65535 之间的端口号。请改正，例如：PORT=8000 make run"
    en = "PORT={value} is not a port number from 1 to 65535. Correct it, for example: PORT=8000 make run"


class StepFailed(DevstackError):
    code = "step_failed"
    zh = "步骤“{step}”失败（退出码 {status_code}）。原因见上面的输出；改正后重新执行即可。"
    en = "The step “{step}” failed (exit code {status_code}). The reason is in the output above; correct it and run again."


class ApiNotReady(DevstackError):
    code = "api_not_ready"
    zh = "接口服务未能就绪（{url}）。原因见上面以 api 开头的输出。"
    en = "The API did not become ready ({url}). The reason is in the output above, in the lines that start with api."
