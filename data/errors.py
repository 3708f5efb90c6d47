"""Every error that a user can meet.

```
MarrowmapError                 one clear line; the commands exit with code 3
├── StudyError                 this study or file cannot be processed
│   ├── NoStudyError           nothing readable was found, or more than one study
│   ├── SequenceMissingError   a sequence that the minimum set needs is absent
│   └── GeometryError          slices, stations or affines that do not fit
├── MaskError                  a mask of the wrong type or shape
├── SettingsError              a setting out of its range
│   └── SeedError              a seed used outside the set it belongs to
├── ClinicalInputError         a clinical field that is unknown, implausible or contradictory
├── BundleError                weights that do not fit or are damaged
├── EngineError                no engine can run these weights here
├── ReportFileError            a findings file that is not what it should be
├── CohortError                a cohort that cannot start or go on
└── NodeError                  the DICOM node cannot start or go on
    └── ArchiveError           an archive that does not answer or refuses
```

A message says what is needed, what was found and the next step. It never holds a
patient's name or identifier.
"""


class MarrowmapError(Exception):
    """Base of every error that is the input's, not ours."""


class StudyError(MarrowmapError):
    """This study or file cannot be processed."""


class NoStudyError(StudyError):
    """Nothing readable was found, or several studies where one is needed."""


class SequenceMissingError(StudyError):
    """A sequence of the minimum set is absent."""


class GeometryError(StudyError):
    """Slices, stations or affines that do not fit together."""


class MaskError(MarrowmapError):
    """A mask of the wrong type or shape."""


class SettingsError(MarrowmapError):
    """A setting out of its range."""


class SeedError(SettingsError):
    """A seed used outside the set (training, validation, test) that it belongs to."""


class ClinicalInputError(MarrowmapError):
    """A clinical field that is unknown, implausible or contradictory."""


class BundleError(MarrowmapError):
    """Weights that do not fit or are damaged."""


class EngineError(MarrowmapError):
    """No engine can run these weights on this machine."""


class ReportFileError(MarrowmapError):
    """A findings file that is missing, damaged or of another schema."""


class CohortError(MarrowmapError):
    """A cohort that cannot start or go on: its list, its folder, its key or its workers."""


class NodeError(MarrowmapError):
    """The DICOM node cannot start or go on."""


class ArchiveError(NodeError):
    """An archive that does not answer or refuses."""
