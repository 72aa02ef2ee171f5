"""The chain of bench/corpus.py by datatrove's own blocks; runs in an environment that has datatrove.

    python datatrove_chain.py INPUT_FOLDER WORK_FOLDER LID_MODEL WORKERS

Reads Parquet (id, text), labels the language with the given fastText model (datatrove would download its larger one),
drops exact and MinHash duplicates (14 × 8 hashes of 5-grams, its defaults), replaces addresses, and writes zstd
Parquet. Prints one JSON object: seconds of each step, and how many documents are left.
"""

import json
import logging
import sys
import time
from pathlib import Path


def main() -> None:
    """Runs the chain, a step after the other, each on all workers."""
    source, work, model, workers = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])

    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup.exact_dedup import (
        ExactDedupConfig,
        ExactDedupFilter,
        ExactDedupSignature,
        ExactFindDedups,
    )
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.filters import LanguageFilter
    from datatrove.pipeline.formatters import PIIFormatter
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.logging import logger

    logger.remove()
    logging.disable(logging.WARNING)
    tasks = len(list(source.glob("*.parquet")))
    exact = ExactDedupConfig(content_getter=text_of)
    minhash = MinhashConfig(hash_config=HashConfig(precision=64))
    language = LanguageFilter(label_only=True)
    language.model.MODEL_URL, language.model.k = model, 1
    labelled, signed, found = f"{work}/labelled", f"{work}/exact", f"{work}/exact-found"
    once, sigs, buckets, removed = f"{work}/once", f"{work}/sigs", f"{work}/buckets", f"{work}/removed"
    steps = {
        "language and exact signatures": (
            [
                ParquetReader(str(source)),
                language,
                ParquetWriter(labelled, "${rank}.parquet"),
                ExactDedupSignature(signed, exact),
            ],
            tasks,
        ),
        "exact duplicates": ([ExactFindDedups(signed, found, exact)], 1),
        "MinHash signatures": (
            [
                ParquetReader(labelled),
                ExactDedupFilter(found, exact),
                ParquetWriter(once, "${rank}.parquet"),
                MinhashDedupSignature(sigs, minhash),
            ],
            tasks,
        ),
        "MinHash buckets": ([MinhashDedupBuckets(sigs, buckets, config=minhash)], 14),
        "MinHash clusters": ([MinhashDedupCluster(buckets, removed, config=minhash)], 1),
        "filter, PII, write": (
            [
                ParquetReader(once),
                MinhashDedupFilter(removed),
                PIIFormatter(),
                ParquetWriter(f"{work}/out", "${rank}.parquet", compression="zstd"),
            ],
            tasks,
        ),
    }
    seconds = {}
    for at, (name, (pipeline, count)) in enumerate(steps.items()):
        start = time.perf_counter()
        LocalPipelineExecutor(
            pipeline, tasks=count, workers=min(workers, count), logging_dir=f"{work}/logs-{at}", skip_completed=False
        ).run()
        seconds[name] = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "folder": f"{work}/out"}))


def text_of(document: object) -> str:
    """What exact duplicates have in common."""
    return document.text  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
