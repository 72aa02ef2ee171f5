"""Where a corpus is worked on: a pool of processes on one machine, or Ray Data on many.

Both take the same tasks, plain functions of picklable arguments that write their own files, and give back what each
returned. The order in which tasks end changes nothing. Nothing here schedules: `concurrent.futures` and Ray do.
"""

import logging
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from homespun.errors import ConfigError, HomespunError, RunError

ONE_THREAD = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "RAYON_NUM_THREADS": "1",
}
"""Environment of a worker: there is one process per core already."""


class Task(NamedTuple):
    """A call: ``function(*arguments)``, both picklable."""

    function: Callable[..., Mapping[str, Any]]
    arguments: tuple[Any, ...]


Results = list[Mapping[str, Any]]
Step = Callable[[int, int], None]
"""Told how many tasks are done, of how many."""


Work = Callable[[Sequence[Task], Step], Results]
"""Runs tasks; results come in the tasks' order, and an error of a task as it was raised there."""


class Executor(Protocol):
    """Whatever runs tasks."""

    def session(self, most: int) -> AbstractContextManager[Work]:
        """Workers for several batches of tasks, gone when the block is left.

        Args:
            most: How many tasks there will be at a time.

        Raises:
            HomespunError: a task's own, as it was raised there.
            RunError: a worker died.
        """
        ...


def run(executor: Executor, tasks: Sequence[Task], step: Step) -> Results:
    """One batch of tasks; see `Executor.session`."""
    with executor.session(len(tasks)) as work:
        return work(tasks, step)


@dataclass(frozen=True, kw_only=True)
class Local:
    """A pool of processes; with one worker everything happens in this process."""

    workers: int = 0
    """0: as many as cores that this process may use."""

    @contextmanager
    def session(self, most: int) -> Generator[Work]:
        """See `Executor.session`."""
        workers = min(self.workers or len(os.sched_getaffinity(0)), most)
        if workers <= 1:
            yield _here
            return
        with _environment():
            pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_alone)
            try:
                yield lambda tasks, step: _pooled(pool, tasks, step)
            finally:
                pool.shutdown(cancel_futures=True)


def _here(tasks: Sequence[Task], step: Step) -> Results:
    done: Results = []
    for at, task in enumerate(tasks):
        done.append(task.function(*task.arguments))
        step(at + 1, len(tasks))
    return done


def _pooled(pool: ProcessPoolExecutor, tasks: Sequence[Task], step: Step) -> Results:
    results: dict[int, Mapping[str, Any]] = {}
    try:
        waiting = {pool.submit(task.function, *task.arguments): at for at, task in enumerate(tasks)}
        for ended in as_completed(waiting):
            results[waiting[ended]] = ended.result()
            step(len(results), len(tasks))
    except BrokenProcessPool:
        text = "a worker died, most likely for want of memory"
        raise RunError(text, "corpus", "the same command goes on; fewer workers, or smaller slices") from None
    return [results[at] for at in range(len(tasks))]


@contextmanager
def _environment() -> Generator[None]:
    """`ONE_THREAD` as long as workers may be spawned: they read it before their libraries start threads."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _alone() -> None:
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


@dataclass(frozen=True, kw_only=True)
class OnRay:
    """Ray Data: one row of a dataset per task. The run's folder must be one that every node sees."""

    address: str | None = None
    """Of a cluster; None: the one in ``RAY_ADDRESS``, else one that is started here for the purpose."""
    cpus: float = 1
    """Cores that a task asks for."""

    @contextmanager
    def session(self, most: int) -> Generator[Work]:
        """See `Executor.session`. A cluster that was started here ends with this process, not with the session."""
        try:
            import ray
            import ray.data
        except ImportError:
            raise ConfigError("Ray is not installed", "corpus", "pip install 'homespun[ray]'") from None
        if not ray.is_initialized():
            ray.init(
                address=self.address,
                runtime_env={"env_vars": ONE_THREAD},
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield self._rows

    def _rows(self, tasks: Sequence[Task], step: Step) -> Results:
        import ray.data

        if not tasks:
            return []
        path = os.pathsep.join(filter(None, sys.path))
        items = [{"at": at, "task": pickle.dumps(task), "path": path} for at, task in enumerate(tasks)]
        dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(_call, num_cpus=self.cpus)
        results: dict[int, Mapping[str, Any]] = {}
        for row in dataset.iter_rows():
            said = pickle.loads(row["result"])
            if isinstance(said, HomespunError):
                raise said
            results[row["at"]] = said
            step(len(results), len(tasks))
        return [results[at] for at in range(len(tasks))]


def _call(row: dict[str, Any]) -> dict[str, Any]:
    """One task in a worker of Ray. What we raise on purpose comes back as a value: Ray would bury it in a trace."""
    _alone()
    sys.path.extend(place for place in row["path"].split(os.pathsep) if place not in sys.path)  # a recipe's own stages
    task: Task = pickle.loads(row["task"])
    try:
        said: Any = task.function(*task.arguments)
    except HomespunError as error:
        said = error
    return {"at": row["at"], "result": pickle.dumps(said)}
