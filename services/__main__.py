from services.cli.main import main
from services.kernel.tuning import tune_process

tune_process()
main()
