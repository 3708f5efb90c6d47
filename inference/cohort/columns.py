"""The columns of the three tables: name, type and meaning; written into the Parquet files themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "texts", "whole", "number", "date"]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: With its unit.
        kind: Its type.
        meaning: For a statistician.
    """

    name: str
    kind: Kind
    meaning: str


EXAMS = (
    Column("exam", "text", "Pseudonym of the exam: keyed hash of its content, model, settings, clinical row"),
    Column("state", "text", "done; refused: cannot be processed; failed: taken again at the next start"),
    Column("reason", "text", "Why it was refused or failed, in our words; null when done"),
    Column("person", "text", "Pseudonym of the person; null where nothing names one (NIfTI)"),
    Column(
        "exam_of_person", "whole", "1 for the person's first exam in the cohort, then 2 ...; null if undated"
    ),
    Column(
        "study_date_shifted", "date", "Study date, moved back 1 to 364 days, the same for all of a person"
    ),
    Column("sex", "text", "M or F as the header says; null where it does not"),
    Column("age_years", "whole", "Whole years at the exam; 90 stands for 90 and more"),
    Column("vendor", "text", "Maker of the scanner: ge, philips, siemens, uih, canon, fujifilm or other"),
    Column("field_strength_t", "number", "Magnetic field, tesla"),
    Column("sequences", "texts", "Sequences that were there"),
    Column("missing_sequences", "texts", "Sequences that the network wants and did not get"),
    Column("regions_absent", "texts", "Regions that were not imaged: nothing is known of them"),
    Column("regions_partial", "texts", "Regions imaged in part"),
    Column("red_marrow_seen", "number", "Share of the red marrow that was imaged, 0 to 1"),
    Column("warnings", "texts", "Codes of the warnings of reading and quality"),
    Column("alerts", "texts", "Codes of the alerts"),
    Column("lesions_visible", "whole", "Lesions, all"),
    Column("lesions_active", "whole", "Of them active"),
    Column("lesions_focal_5mm", "whole", "Of them certain and 5 mm or more"),
    Column("lesions_equivocal", "whole", "Of them equivocal"),
    Column("focal_low", "whole", "Lower end of the 90 % interval of the number of focal lesions"),
    Column("focal_high", "whole", "Upper end of it"),
    Column("tumour_volume_ml", "number", "Total volume of lesion tissue"),
    Column("tumour_volume_low_ml", "number", "Lower end of its 90 % interval"),
    Column("tumour_volume_high_ml", "number", "Upper end of it"),
    Column("marrow_volume_ml", "number", "Volume of the bones that were found"),
    Column("marrow_fraction", "number", "Tumour volume over marrow volume"),
    Column("tumour_adc_median_um2_per_s", "number", "Median ADC of lesion tissue"),
    Column("pattern", "text", "normal, focal, diffuse, focal_on_diffuse or micronodular"),
    Column("diffuse_grade", "text", "none, mild, moderate, severe; null when unknown"),
    Column("prior_exam", "text", "Pseudonym of the person's exam before this one"),
    Column("days_since_prior", "whole", "Days from it to this one"),
    Column(
        "response_category", "whole", "Response, 1 highly likely responding to 5 highly likely progressing"
    ),
    Column("response_worst", "whole", "Category of what responds worst"),
    Column("response_direction", "text", "responding, stable, progressing or mixed"),
    Column("tumour_volume_change_percent", "number", "Change of the tumour volume since the prior exam"),
    Column("not_compared", "text", "Why an exam with an earlier one was not compared"),
    Column("model", "text", "Name, version and hash of the weights"),
    Column("engine", "text", "What ran the network"),
    Column("device", "text", "Where it ran"),
    Column("program_version", "text", "Version of marrowmap"),
    Column("wall_seconds", "number", "From taking the exam to its row"),
    Column("cpu_seconds", "number", "CPU time of the worker meanwhile, all threads"),
    Column("gpu_seconds", "number", "Time in which the exam held the GPU: network stage on CUDA, else 0"),
    Column("read_seconds", "number", "Of the wall time: reading the study"),
    Column("prepare_seconds", "number", "Of it: onto one grid"),
    Column("network_seconds", "number", "Of it: the network"),
    Column("describe_seconds", "number", "Of it: measuring and placing the lesions"),
    Column("write_seconds", "number", "Of it: report, page, maps"),
    Column("bytes_read", "whole", "Bytes of the study's files"),
    Column("bytes_written", "whole", "Bytes of what infer wrote"),
    Column("peak_memory_bytes", "whole", "Highest memory of the worker so far; null where it cannot be told"),
)

LESIONS = (
    Column("exam", "text", "Pseudonym of the exam"),
    Column("lesion", "whole", "Number of the lesion in its exam"),
    Column("region", "text", "Region of the skeleton; null away from bone"),
    Column("level", "text", "Vertebra, C1 to S1; null elsewhere"),
    Column("kind", "text", "focal, paramedullary or extramedullary"),
    Column("status", "text", "active, treated or indeterminate"),
    Column("certainty", "text", "certain, equivocal or rejected"),
    Column("suspected_benign", "text", "Benign look-alike, if any"),
    Column("probability", "number", "That it is a lesion"),
    Column("focal_probability", "number", "That it is one of 5 mm or more"),
    Column("parts", "whole", "Confluent parts"),
    Column("volume_ml", "number", "Volume"),
    Column("longest_diameter_mm", "number", "Longest diameter"),
    Column("diameter_uncertainty_mm", "number", "Its uncertainty"),
    Column("perpendicular_diameter_mm", "number", "Longest diameter at right angles to it"),
    Column("centroid_r_mm", "number", "Centroid, to the right"),
    Column("centroid_a_mm", "number", "Centroid, to the front"),
    Column("centroid_s_mm", "number", "Centroid, to the head"),
    Column("adc_mean_um2_per_s", "number", "Mean ADC"),
    Column("adc_median_um2_per_s", "number", "Median ADC"),
    Column("adc_p10_um2_per_s", "number", "10th percentile"),
    Column("adc_p90_um2_per_s", "number", "90th percentile"),
    Column("dwi_to_muscle", "number", "High-b signal over that of muscle"),
    Column("fat_fraction", "number", "Fat fraction, 0 to 1"),
)

RULES = (
    Column("exam", "text", "Pseudonym of the exam"),
    Column("rule", "text", "Key of the published rule"),
    Column("version", "text", "Name and version of our reading of it"),
    Column("status", "text", "complete, imaging_only, unknown or not_applicable"),
    Column("value", "text", "What the rule says; null when unknown"),
    Column("candidates", "texts", "Values still possible, mildest first"),
    Column("missing", "texts", "Inputs that were unknown"),
    Column("probability", "number", "Of the value, from the probabilities of the lesions; null when unknown"),
    Column("suffix", "text", "A or B, where the rule has one"),
    Column("points", "number", "Points, where the rule counts some"),
    Column("source", "text", "Where the rule was published"),
)

TABLES = {"exams": EXAMS, "lesions": LESIONS, "rules": RULES}
